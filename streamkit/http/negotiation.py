"""What a response says, fitted to what a request asks for."""

from random import randint
from typing import Final, NamedTuple

from werkzeug.datastructures import Headers
from werkzeug.http import is_entity_header

from streamkit.http.headers import ResponseHeaders
from streamkit.plan import Plan
from streamkit.resource import FileResource

__all__ = [
    "BODILESS",
    "Answer",
    "Negotiator",
    "describe_no_body",
    "describe_rejection",
    "without_body",
]

BODILESS: Final = frozenset({204, 304, 412, 416})
"""Statuses that are sent without a body.

204 and 304 have none (RFC 9110, sections 15.3.5 and 15.4.5); with 412 and 416 there is nothing to
say.
"""

RETRY_AFTER: Final = (1, 10)
"""Seconds between which clients are to come back that were rejected (RFC 9110, section 10.2.3).

Each of them has a time of its own, so that they do not all come at once. A judgement, as is the
``RETRY`` of streamkit/stream/batches.py: the times are the same.
"""

KEPT_WITHOUT_BODY: Final = frozenset({"expires", "content-location", "last-modified"})
"""Headers that a cache may want to know even of a body that is not sent.

RFC 9110, section 15.4.5, has a 304 repeat the first two, and allows the third.
"""


class Answer(NamedTuple):
    """What is to be sent to one request."""

    status: int
    plan: Plan | None
    """None: there is no stream to be sent."""
    file: FileResource | None = None
    """The file that is all of the body, from its first byte on, if that is so."""


class Negotiator:
    """What a response says. This one is the same whatever is asked."""

    def negotiate(
        self, plan: Plan, method: str, request: Headers, status: int, headers: ResponseHeaders
    ) -> Answer:
        """The answer to a request of this ``method`` and with these headers.

        ``plan``, ``status`` and ``headers`` are those of the response that would be, whatever was
        asked. Changes ``headers`` to those of the answer and nothing else: no source is started, no
        file opened or closed.
        """
        return Answer(status, plan)


def without_body(headers: ResponseHeaders) -> None:
    """Leave out of ``headers`` what describes a body."""
    for name in [*headers.keys()]:
        if is_entity_header(name) and name.lower() not in KEPT_WITHOUT_BODY:
            del headers[name]
    del headers["Content-Disposition"]


def describe_no_body(status: int, headers: ResponseHeaders) -> None:
    """Say in ``headers`` that the body is empty, if a ``status`` is one that may have a body."""
    if status in (412, 416):
        _describe_nothing(headers)


def describe_rejection(headers: ResponseHeaders) -> None:
    """Leave in ``headers`` nothing of the stream, and say when to come back."""
    without_body(headers)
    for name in ("Accept-Ranges", "ETag", "Last-Modified"):
        del headers[name]
    headers["Retry-After"] = str(randint(*RETRY_AFTER))
    _describe_nothing(headers)


def _describe_nothing(headers: ResponseHeaders) -> None:
    # Checkers of PEP 3333, such as WebTest's, ask for a type even so.
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["Content-Length"] = "0"
