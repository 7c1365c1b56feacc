"""Whether a client wants the representation that there is (RFC 9110, section 13)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from werkzeug.datastructures import Headers
from werkzeug.http import parse_date, parse_etags, unquote_etag

from streamkit.http.headers import ResponseHeaders

__all__ = ["evaluate", "if_range"]

MAX_ETAGS_LENGTH: Final = 4096
"""Characters of a list of entity tags. A longer one matches nothing, and so costs a body to send.

Older Werkzeugs read such a list in quadratic time. A judgement: half of the 8 KiB that gunicorn and
Apache take for a header by default, and room for a hundred entity tags.
"""


def evaluate(request: Headers, response: ResponseHeaders) -> Literal[200, 304, 412]:
    """The status that the preconditions of a GET or HEAD request lead to.

    ``request`` and ``response`` are headers, the latter those of the 200: its ``ETag`` and
    ``Last-Modified`` are what the request is compared with. The order is that of section 13.2.2.
    """
    if "If-Match" in request:
        if not _matches(request.getlist("If-Match"), response, strong=True):
            return 412
    elif _is_newer(response, request.get("If-Unmodified-Since")) is True:
        return 412
    if "If-None-Match" in request:
        if _matches(request.getlist("If-None-Match"), response, strong=False):
            return 304
    elif _is_newer(response, request.get("If-Modified-Since")) is False:
        return 304
    return 200


def if_range(request: Headers, response: ResponseHeaders) -> bool:
    """Whether the part that the client has is of this representation, so that a range fits to it.

    Entity tags are compared strongly, and a date must be the very one, and old enough to tell two
    versions of one second apart (section 13.1.5). werkzeug's ``parse_if_range_header`` drops what
    says that a tag is weak.
    """
    value = request.get("If-Range")
    if value is None:
        return True
    if value == response.get("ETag"):
        return value.startswith('"')
    modified = _date(response.get("Last-Modified"))
    return (
        modified is not None
        and _date(value) == modified
        and datetime.now(UTC) - modified > timedelta(seconds=1)
    )


def _is_newer(response: ResponseHeaders, since: str | None) -> bool | None:
    """Whether the response was modified later than ``since``; None if that cannot be told."""
    if (
        since is None
        or (date := _date(since)) is None
        or (modified := _date(response.get("Last-Modified"))) is None
    ):
        return None
    return modified > date


def _date(value: str | None) -> datetime | None:
    try:
        return parse_date(value)
    except OverflowError:
        # A date may have numbers in it that are too large.
        return None


def _matches(lines: Sequence[str], response: ResponseHeaders, *, strong: bool) -> bool:
    """Whether the entity tag of the response is in a header, on whichever of its ``lines``.

    ``strong`` is how the two are compared (section 8.8.3.2).
    """
    value = ",".join(lines)
    if value.strip() == "*":
        return True
    etag, is_weak = unquote_etag(response.get("ETag"))
    if etag is None or len(value) > MAX_ETAGS_LENGTH:
        return False
    etags = parse_etags(value)
    return etags.is_strong(etag) and not is_weak if strong else etags.contains_weak(etag)
