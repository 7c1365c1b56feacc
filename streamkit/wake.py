"""How one party wakes another, which waits as a thread or as a task of a loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final, Protocol

from streamkit.loop import call_on, running_loop

__all__ = ["NOBODY", "LoopWake", "ThreadWake", "Wake"]


class Wake(Protocol):
    """One waiter, any number of notifiers in any thread."""

    armed: bool
    """Whether the waiter is waiting, or about to: what ``notify`` looks at first."""

    def notify(self) -> None:
        """Wake the waiter if it is waiting; next to nothing otherwise."""


# Both classes close the gap between a look and the sleep in the same order: the waiter arms the
# wake, *then* looks once more; the other side changes the state, *then* looks whether the wake is
# armed. One of the two sees the other. A wake-up too many is harmless, since all waiting is in a
# loop around the state itself.


class _Nobody:
    """The wake of a side that never waits."""

    armed = False

    def notify(self) -> None:
        pass


NOBODY: Final[Wake] = _Nobody()
"""For a buffer whose two sides are one thread."""


class ThreadWake:
    """The wake of a thread."""

    __slots__ = ("_token", "armed")

    def __init__(self) -> None:
        self.armed = False
        # The token is free while a notification waits to be noticed, and taken otherwise. A
        # threading.Event does the same with a new lock for each wait.
        self._token = threading.Lock()
        self._token.acquire()

    def notify(self) -> None:
        if self.armed:
            self.armed = False
            try:
                self._token.release()
            except RuntimeError:
                # Of two that notify at the same time, one finds the token free already.
                return

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Return once notified, when ``ready()`` already holds, or after ``timeout`` seconds.

        False if the time is over.
        """
        self._token.acquire(blocking=False)
        self.armed = True
        in_time = ready() or self._token.acquire(timeout=-1 if timeout is None else timeout)
        self.armed = False
        return in_time


class LoopWake:
    """The wake of a task of ``loop``."""

    __slots__ = ("_loop", "_waiter", "armed")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.armed = False
        self._waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        if not self.armed:
            return
        self.armed = False
        if running_loop() is not self._loop:
            call_on(self._loop, self._wake)
        elif self._waiter is not None:
            try:
                self._waiter.set_result(None)
            except asyncio.InvalidStateError:
                # It was cancelled meanwhile.
                return

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def waiter(self, ready: Callable[[], bool]) -> "asyncio.Future[None] | None":
        """What to await until notified; None if ``ready()`` already holds."""
        self.armed = True
        if ready():
            self.armed = False
            return None
        # As ``create_future`` does, in one call less where the loop is asyncio's own.
        self._waiter = asyncio.Future(loop=self._loop)
        return self._waiter

    async def wait(self, ready: Callable[[], bool], timeout: float | None) -> None:
        """Return once notified, when ``ready()`` already holds, or after ``timeout`` seconds."""
        waiter = self.waiter(ready)
        if waiter is None:
            return
        timer = None if timeout is None else self._loop.call_later(timeout, self._wake)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
