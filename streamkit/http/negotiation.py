"""What a response says, fitted to what a request asks for."""

from typing import Final

from werkzeug.datastructures import Headers
from werkzeug.http import is_entity_header

from streamkit.http.headers import ResponseHeaders
from streamkit.resource import FileResource
from streamkit.stream.pipeline import Pipeline

__all__ = ["Representation", "without_body"]

KEPT: Final = frozenset({"expires", "content-location", "last-modified"})
"""What a cache may want to know even of a body that is not sent."""


def without_body(headers: ResponseHeaders) -> None:
    """Leave out what describes a body."""
    for name in [*headers.keys()]:
        if is_entity_header(name) and name.lower() not in KEPT:
            del headers[name]
    del headers["Content-Disposition"]


class Representation:
    """What a response says. This one is the same whatever is asked."""

    file: FileResource | None = None
    """The file that is all of the body, once it has been selected."""

    def select(
        self,
        method: str,
        request: Headers,
        status: int,
        headers: ResponseHeaders,
        pipeline: Pipeline,
    ) -> int:
        """Fit ``headers``, and what ``pipeline`` carries, to a request.

        ``method`` and ``request`` are the request's method and headers, ``status`` and ``headers``
        those of the response that would be. Returns the status of the one that is to be.
        """
        return status
