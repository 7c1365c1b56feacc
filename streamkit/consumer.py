"""What a sync source may know of its consumer: that it has left."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Consumer", "consumer"]


class Consumer:
    """Of one source, which waits for something of the kit's own: nothing else can be woken."""

    __slots__ = ("_wakes", "has_left")

    def __init__(self) -> None:
        self.has_left = False
        self._wakes: list[Callable[[], object]] = []

    def leave(self) -> None:
        """It has left: wake the source. From any thread."""
        self.has_left = True
        for wake in [*self._wakes]:
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Generator[None]:
        """Within the block ``wake`` is called when it leaves. Look at ``has_left`` in there."""
        self._wakes.append(wake)
        try:
            yield
        finally:
            self._wakes.remove(wake)


consumer: ContextVar[Consumer | None] = ContextVar("streamkit.consumer", default=None)
"""Of the source that runs in this context. None for an async source, which is cancelled."""
