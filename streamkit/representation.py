"""What a response says, fitted to what a request asks for."""

from werkzeug.datastructures import Headers
from werkzeug.http import remove_entity_headers

from streamkit.pipeline import Pipeline
from streamkit.resource import FileResource

__all__ = ["Representation", "without_body"]


def without_body(headers: Headers) -> None:
    """Leave out what describes a body, but for what a cache may want to know of it."""
    remove_entity_headers(headers, ("expires", "content-location", "last-modified"))
    headers.remove("Content-Disposition")


class Representation:
    """What a response says. This one is the same whatever is asked."""

    file: FileResource | None = None
    """The file that is all of the body, once it has been selected."""

    def select(
        self, method: str, request: Headers, status: int, headers: Headers, pipeline: Pipeline
    ) -> int:
        """Fit ``headers``, and what ``pipeline`` carries, to a request.

        ``method`` and ``request`` are the request's method and headers, ``status`` and ``headers``
        those of the response that would be. Returns the status of the one that is to be.
        """
        return status
