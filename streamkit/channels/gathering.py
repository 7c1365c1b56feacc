"""All who wait for what comes next of one history: threads, and tasks of any number of loops."""

import asyncio

from streamkit.channels.audience import Audience, LoopAudience, ThreadAudience, Wave

__all__ = ["Gathering"]


class Gathering:
    """One thread at a time calls its methods, but for ``wake``."""

    __slots__ = ("_loops", "listeners", "threads")

    def __init__(self) -> None:
        self.threads = ThreadAudience()
        self.listeners = 0
        """How many there are, on any thread or loop. Whoever lets them in and out counts them."""
        self._loops: dict[asyncio.AbstractEventLoop, LoopAudience] = {}

    def audience(self, loop: asyncio.AbstractEventLoop | None) -> Audience:
        """Where one more listener, on ``loop`` or a thread, is to wait. ``leave`` follows, once."""
        return self.threads if loop is None else self.join(loop)

    def join(self, loop: asyncio.AbstractEventLoop) -> LoopAudience:
        """One more listens on ``loop``."""
        audience = self._loops.get(loop)
        if audience is None:
            audience = self._loops[loop] = LoopAudience(loop)
        audience.members += 1
        return audience

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """One of those on ``loop`` does no longer."""
        audience = self._loops[loop]
        audience.members -= 1
        if not audience.members:
            del self._loops[loop]

    def take(self) -> Wave:
        """The threads that wait now, for ``wake``."""
        return self.threads.take()

    def wake(self, wave: Wave) -> None:
        """Have all woken who wait: the threads of ``wave``, and on each loop those that are there.

        On any thread.
        """
        if wave:
            wave.go_on()
        if self._loops:
            for audience in tuple(self._loops.values()):
                audience.notify()
