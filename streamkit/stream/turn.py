"""Whose turn it is: of threads at the interpreter, and of tasks at their loop."""

import asyncio
import threading
import time
import weakref
from collections import deque
from typing import Final

from streamkit import lost

__all__ = ["Portions", "TaskTurn", "Turn"]


MAX_TRUSTED: Final = 4
"""Elements that a task is not asked about which has waited before each of as many until then.

A judgement: to look costs a tenth of what it costs to deliver an event. And a source that waits no
longer, and computes for some milliseconds an element, is noticed after a few of them.
"""


class Turn(threading.local):
    """For how long a thread has it, and then rests for others: each thread for itself.

    CPython takes it from a thread that had it for 5 milliseconds on end
    (``sys.getswitchinterval()``). One that gives it up often, a loop that looks at its sockets say,
    takes it back before another has woken up, which then might wait for ever; and one that never
    does makes a loop that sends wait for each send. docs/reliability.md has what was seen of both.
    """

    def __init__(self, length: float, rest: float) -> None:
        """A turn of ``length`` seconds is followed by a ``rest`` of so many seconds."""
        self._length = length
        self._rest = rest
        self._began = 0.0
        self._used = 0.0
        self.ends = 0.0
        """When this turn is over, by ``time.monotonic()``: what a caller looks at first."""

    def rest_if_over(self) -> None:
        """Sleep, if the turn is over, this thread was busy most of it, and there are others."""
        now = time.monotonic()
        if now < self.ends:
            return
        is_busy = time.thread_time() - self._used > (now - self._began) / 2
        if is_busy and threading.active_count() - lost.own_threads() > 1:
            time.sleep(self._rest)
        self._began, self._used = time.monotonic(), time.thread_time()
        self.ends = self._began + self._length


class TaskTurn:
    """The turn of a task at its loop, which goes on with others whenever the task waits.

    What waits is never late: its turn is the time that it was busy, not the time that has passed.
    """

    __slots__ = ("_ends", "_length", "_loop", "_trusted", "_waits")

    def __init__(self, loop: asyncio.AbstractEventLoop, length: float) -> None:
        """Each turn lasts for ``length`` seconds."""
        self._loop = loop
        self._length = length
        self._ends: float | None = None
        self._waits = 0
        """How often it was seen to wait since it was late."""
        self._trusted = 0
        """For how many times that it asks it is taken to have waited."""

    def is_over(self) -> bool:
        """Whether the task, which asks often, was busy for so long that others are to go on."""
        if self._trusted:
            self._trusted -= 1
            return False
        now = time.monotonic()
        if self._ends is None:
            self._ends = now + self._length
            # If the task has let others go on by the time it asks again, so has it this.
            self._loop.call_soon(self._end)
        if now < self._ends:
            return False
        self._waits = -1
        return True

    def _end(self) -> None:
        self._ends = None
        self._waits = min(self._waits + 1, MAX_TRUSTED)
        self._trusted = self._waits


LONG_TURN: Final = 0.01
"""Seconds of a turn of a loop, for each of which a portion goes on in the next: one at the least.

A judgement: where a turn takes half a second, since hundreds of sources never wait, 500 streams
begin in the next one, and nobody waits for many of them. To begin one takes less than half a
millisecond, so that what begins makes no turn longer than the one before.
"""


class Portions(threading.local):
    """Lets many tasks that come to a loop at once go on some at a time: each loop for itself.

    Between two portions the loop has a turn, in which it hears of others, and goes on with them.
    """

    def __init__(self, size: int) -> None:
        """So many tasks go on in each turn of a loop."""
        self._size = size
        # The loop has it, which calls it back, and lets go of it when it is closed. Loops that take
        # turns on a thread go on with what they have of their own.
        self._latest: weakref.ref[_Portion] | None = None

    def waiter(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None] | None":
        """What a task of ``loop``, which runs here, is to await before it goes on.

        None while there is room in this turn of the loop, and nobody waits.
        """
        portion = None if self._latest is None else self._latest()
        if portion is None or portion.is_over or portion.loop is not loop:
            portion = _Portion(loop, self._size)
            self._latest = weakref.ref(portion)
        return portion.waiter()


class _Portion:
    """What goes on in this turn of a loop, and who is yet to go on. Used on its loop only."""

    __slots__ = ("__weakref__", "_began", "_room", "_size", "_waiting", "is_over", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self.loop = loop
        self.is_over = False
        """Whether the loop calls it no more. Something may still have it: a profiler, say."""
        self._size = self._room = size
        self._began = loop.time()
        self._waiting: deque[asyncio.Future[None]] = deque()
        loop.call_soon(self._begin_next)

    def waiter(self) -> "asyncio.Future[None] | None":
        if self._room:
            self._room -= 1
            return None
        waiter: asyncio.Future[None] = asyncio.Future(loop=self.loop)
        self._waiting.append(waiter)
        return waiter

    def _begin_next(self) -> None:
        now, waiting = self.loop.time(), self._waiting
        # Turns that take long are few.
        size = room = max(self._size, int(self._size * (now - self._began) / LONG_TURN))
        self._began = now
        while room and waiting:
            waiter = waiting.popleft()
            # One whose task was cancelled takes nobody's place.
            if not waiter.done():
                waiter.set_result(None)
                room -= 1
        is_used, self._room = room < size, room
        if is_used:
            # Behind those that were woken, and what the loop hears of meanwhile.
            self.loop.call_soon(self._begin_next)
        self.is_over = not is_used
