"""For how long a task is busy without letting others have their turn."""

from collections.abc import Coroutine, Generator
from time import monotonic
from typing import Any

__all__ = ["Steps"]


class Steps(Coroutine[Any, Any, None]):
    """A coroutine, for a task, of which is known when its turn ends.

    A turn begins each time that the loop goes on with it, so that what waits is never late: what it
    takes to be read is the time that it was busy, and not the time that has passed.
    """

    __slots__ = ("_coroutine", "_turn", "turn_ends")

    def __init__(self, coroutine: Coroutine[Any, Any, None], turn: float) -> None:
        """Each turn lasts for ``turn`` seconds."""
        self._coroutine = coroutine
        self._turn = turn
        self.turn_ends = 0.0
        """When this turn is over, by ``time.monotonic()``."""

    def send(self, value: Any) -> Any:
        self.turn_ends = monotonic() + self._turn
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        self.turn_ends = monotonic() + self._turn
        try:
            return self._coroutine.throw(*error)
        finally:
            # Its traceback will lead to this frame, which is not to lead back to it.
            del error

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("only a task takes the steps of a coroutine one by one")
