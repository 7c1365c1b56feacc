"""Who waits for the next event of a channel: threads of a process, and tasks of one loop.

Whoever publishes pays once a loop, and for one thread. The loop wakes its own tasks, some at a
time, and each thread that is woken wakes the next one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from streamkit.loop import call_on, running_loop
from streamkit.wake import LoopWake, ThreadWake

__all__ = [
    "Audience",
    "LoopAudience",
    "LoopWaiter",
    "ThreadAudience",
    "ThreadWaiter",
    "Wave",
]

PORTION: Final = 100
"""How many tasks are woken before the rest of their loop has a turn.

A judgement: to send an event takes a server some 20 microseconds, and so others wait for two
milliseconds at a time.
"""

# Both waiters close the gap between a look and the sleep as any wake does: the waiter arms itself,
# puts itself on the list, *then* looks once more; who publishes changes the ring, *then* looks at
# the list. One of the two sees the other.


class Wave(dict["ThreadWaiter", None]):
    """Threads that are woken for the same event, each by another one.

    One at a time, since only one has the interpreter: of several, the others would wait for it, and
    take it from each other. For 300 threads that send what they are woken for, two by each cost two
    to three times the processor time and as much more until half of them have sent it.
    """

    def go_on(self) -> None:
        """Wake one, who then wakes the next. From any thread."""
        try:
            waiter, _ = self.popitem()
        except KeyError:
            return
        waiter.notify()

    def let_go(self, waiter: "ThreadWaiter") -> None:
        """It waits here no longer. Who was taken out to be woken goes on with that."""
        if self.pop(waiter, waiter) is waiter:
            self.go_on()


class ThreadAudience:
    """The threads that wait for one channel."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting = Wave()

    def take(self) -> Wave:
        """All who wait now, for who publishes to wake. One thread at a time calls it."""
        wave = self.waiting
        if wave:
            following = Wave()
            # Who comes from now on has seen what these are woken for. In one step: by now an event
            # of a signal's handler may have taken what was found above.
            wave, self.waiting = self.waiting, following
        return wave

    def add(self, waiter: "ThreadWaiter") -> Wave:
        """Let it wait among the others, and return these."""
        while True:
            wave = self.waiting
            wave[waiter] = None
            if wave is self.waiting:
                return wave
            # They were taken in between, perhaps for what this one has seen already. None of them
            # is woken again.
            wave.let_go(waiter)


class ThreadWaiter(ThreadWake):
    """The wake of one thread, which waits for any of some channels."""

    __slots__ = ("_audiences",)

    def __init__(self, audiences: Sequence[ThreadAudience]) -> None:
        super().__init__()
        self._audiences = audiences

    def leave(self) -> None:
        """It waits no more: then it is on no list."""

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Return once notified, when ``ready()`` already holds, or after ``timeout`` seconds.

        False if the time is over.
        """
        self._token.acquire(blocking=False)
        self.armed = True
        waves = [audience.add(self) for audience in self._audiences]
        try:
            return ready() or self._token.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            self.armed = False
            for wave in waves:
                wave.let_go(self)


class LoopAudience:
    """The tasks of one loop that wait for one channel."""

    __slots__ = ("_is_called", "_is_waking", "_loop", "_to_wake", "members", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.members = 0
        """How many subscribers there are of this loop, whether or not they wait now."""
        self.waiting: dict[LoopWaiter, asyncio.Future[None]] = {}
        """What each waits for. Changed on the loop only. One that was woken may still be here."""
        self._loop = loop
        self._to_wake: deque[asyncio.Future[None]] = deque()
        self._is_called = False
        self._is_waking = False

    def notify(self) -> None:
        """Wake all who wait now, from any thread."""
        waiting = self.waiting
        if not waiting or self._is_called:
            return
        if running_loop() is self._loop:
            if len(waiting) == 1:
                # Later would be a turn of the loop more, which is half of what it costs.
                try:
                    _, waiter = waiting.popitem()
                except KeyError:
                    # A signal's handler has woken it by now.
                    return
                if not waiter.done():
                    waiter.set_result(None)
                return
            self._is_called = True
            self._loop.call_soon(self._wake_all)
            return
        self._is_called = True
        # A loop that is closed has nobody to wake.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        # First, so that what comes to be from now on is told once more.
        self._is_called = False
        self._to_wake.extend(self.waiting.values())
        self.waiting.clear()
        if not self._is_waking:
            self._wake_portion()

    def _wake_portion(self) -> None:
        to_wake = self._to_wake
        for _ in range(min(PORTION, len(to_wake))):
            waiter = to_wake.popleft()
            if not waiter.done():
                waiter.set_result(None)
        self._is_waking = bool(to_wake)
        if to_wake:
            # The tasks that were woken come first, and what the loop hears of meanwhile.
            self._loop.call_soon(self._wake_portion)


class LoopWaiter(LoopWake):
    """The wake of one task of a loop, which waits for any of some channels."""

    __slots__ = ("_lists",)

    def __init__(self, loop: asyncio.AbstractEventLoop, audiences: Sequence[LoopAudience]) -> None:
        super().__init__(loop)
        self._lists = [audience.waiting for audience in audiences]

    def waiter(self, ready: Callable[[], bool]) -> "asyncio.Future[None] | None":
        """What to await until notified; None if ``ready()`` already holds."""
        waiter: asyncio.Future[None] = asyncio.Future(loop=self._loop)
        self._waiter = waiter
        self.armed = True
        for each in self._lists:
            each[self] = waiter
        if ready():
            self.armed = False
            self._leave()
            return None
        return waiter

    def leave(self) -> None:
        """It waits no more. On any thread."""
        call_on(self._loop, self._leave)

    def _leave(self) -> None:
        for each in self._lists:
            each.pop(self, None)


Audience = ThreadAudience | LoopAudience
