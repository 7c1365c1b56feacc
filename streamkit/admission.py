"""How many streams may be open at a time."""

from contextvars import ContextVar

__all__ = ["Admission", "admission"]


class Admission:
    """Lets ``max_streams`` streams in, and another for each that leaves.

    Raises TypeError or ValueError if that is no positive int.
    """

    def __init__(self, max_streams: int) -> None:
        if not isinstance(max_streams, int) or isinstance(max_streams, bool):
            kind = type(max_streams).__name__
            raise TypeError(f"max_streams must be an int or None, got {kind}")
        if max_streams < 1:
            raise ValueError(f"max_streams must be at least 1, got {max_streams}")
        # To pop from a list is atomic, and a lock could be inherited by a fork.
        self._places = [None] * max_streams

    def enter(self) -> bool:
        """Let another stream in if there is room: then ``leave`` is to follow."""
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def leave(self) -> None:
        self._places.append(None)


admission: ContextVar[Admission | None] = ContextVar("streamkit.admission", default=None)
"""Of the middleware that the request came through; None lets all streams in."""
