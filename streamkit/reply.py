"""What one request is answered with."""

from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Reply"]

B = TypeVar("B", covariant=True)


class Reply(Generic[B]):
    """The ``status`` to be sent, and the ``body``: ``bytes`` where that is short, or empty.

    The headers are those that ``begin`` was given. As a context manager around what sends the head
    it closes the stream if that raises.
    """

    __slots__ = ("_close", "body", "status")

    def __init__(self, status: int, body: B, close: Callable[[], object]) -> None:
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
