"""What one request is answered with."""

from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Reply"]

BodyT_co = TypeVar("BodyT_co", covariant=True)


class Reply(Generic[BodyT_co]):
    """The ``status`` to be sent, and the ``body``: ``bytes`` where that is short, or empty.

    The headers are those that ``begin`` was given, which it has changed. As a context manager
    around what sends the head, a reply closes the stream if that raises::

        with response.begin(request, status, headers) as reply:
            start_response(status_line(reply.status), headers.to_wsgi_list())
            return wsgi_body(reply.body, environ)
    """

    __slots__ = ("_close", "body", "status")

    def __init__(self, status: int, body: BodyT_co, close: Callable[[], object]) -> None:
        self.status = status
        self.body = body
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._close()
