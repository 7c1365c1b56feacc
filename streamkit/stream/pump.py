"""What carries elements from the source into the buffer: a thread, a task, or the consumer."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Final, Protocol

from streamkit.kind import Kind
from streamkit.source import Source, under_gevent
from streamkit.stream.buffer import Buffer
from streamkit.stream.turn import Turn
from streamkit.stream.wake import LoopSignal, ThreadSignal, call_on, running_loop

__all__ = ["TASK_TURN", "InlinePump", "Pump", "TaskPump", "ThreadPump"]

INLINE_TURN: Final = 0.01
"""Seconds that an inline source is read on for one batch."""

TASK_TURN: Final = 0.001
"""Seconds after which a task that has no need to wait lets the rest of its loop run."""

TASK_PAUSE: Final = 0.0005
"""Seconds that a source which never waits stands back after its turn."""

_turn: Final = Turn(TASK_TURN, TASK_PAUSE)

_OVER: Final = object()

Leave = Callable[[BaseException | None], None]
"""Ends the buffer, with the source's error if there was one."""


class Pump(Protocol):
    """Reads a source to its end, closes it and leaves.

    All of the source, from its first element to its ``close``, runs under one context and on one
    thread or task. It leaves outside of that context, which can be entered only once at a time.
    """

    def start(self) -> None:
        """Begin to read. Called once, unless ``discard`` is."""

    def stop(self) -> None:
        """The buffer was abandoned: see to it that the source closes as soon as it can."""

    def discard(self) -> None:
        """Close the source that never started; the buffer is abandoned already."""


class ThreadPump:
    """Reads a sync source on a thread of its own."""

    def __init__(
        self,
        source: Source,
        buffer: Buffer,
        writable: ThreadSignal,
        context: Context,
        leave: Leave,
    ) -> None:
        self._source = source
        self._buffer = buffer
        self._writable = writable
        self._context = context
        self._leave = leave

    def start(self) -> None:
        # A daemon: no source may keep the interpreter from exiting.
        threading.Thread(target=self._run, name="streamkit-pump", daemon=True).start()

    def stop(self) -> None:
        # The abandoned buffer has woken it. Inside the source's own code nothing can.
        pass

    def discard(self) -> None:
        # What closes a sync source may block, and must not block a loop.
        if running_loop() is None or self._source.is_quick:
            self._run()
        else:
            self.start()

    def _run(self) -> None:
        try:
            self._context.run(self._read)
        except BaseException as error:
            self._leave(error)
        else:
            self._leave(None)

    def _read(self) -> None:
        try:
            if not self._buffer.abandoned:
                self._fill()
        finally:
            self._source.close()

    def _fill(self) -> None:
        buffer = self._buffer
        offer = buffer.offer
        is_greenlet = under_gevent()
        dropped = 0
        for element in self._source.iterator():
            while not offer(element):
                if buffer.abandoned:
                    return
                self._writable.wait(buffer.writable_now, buffer.patience())
            # A greenlet runs until it waits, and what drops waits for nothing.
            if is_greenlet or buffer.dropped != dropped:
                dropped = buffer.dropped
                _turn.rest_if_over()


class TaskPump:
    """Reads an async source as a task of ``loop``."""

    def __init__(
        self,
        source: Source,
        buffer: Buffer,
        writable: LoopSignal,
        context: Context,
        leave: Leave,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._source = source
        self._buffer = buffer
        self._writable = writable
        self._context = context
        self._leave = leave
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._reading = False
        self._stopped = False

    def start(self) -> None:
        call_on(self._loop, self._start)

    def stop(self) -> None:
        call_on(self._loop, self._cancel)

    def discard(self) -> None:
        self.start()

    def _start(self) -> None:
        self._task = self._loop.create_task(self._run(), context=self._context)
        self._task.add_done_callback(self._over)

    def _cancel(self) -> None:
        # Only what reads is cancelled, and once: not a task that has yet to begin, which then would
        # never close its source, nor one whose source is closing.
        self._stopped = True
        if self._task is not None and self._reading:
            self._reading = False
            self._task.cancel()

    async def _run(self) -> None:
        try:
            if not self._buffer.abandoned:
                self._reading = True
                await self._fill()
        finally:
            self._reading = False
            await self._source.aclose()

    async def _fill(self) -> None:
        buffer = self._buffer
        offer = buffer.offer
        turn_ends = time.monotonic() + TASK_TURN
        async for element in self._source.async_iterator():
            while not offer(element):
                if buffer.abandoned:
                    return
                await self._writable.wait(buffer.writable_now, buffer.patience())
                turn_ends = time.monotonic() + TASK_TURN
            if time.monotonic() >= turn_ends:
                # Not 0: a loop that never sleeps takes the interpreter back before other threads
                # have woken up to it.
                await asyncio.sleep(TASK_PAUSE)
                turn_ends = time.monotonic() + TASK_TURN

    def _over(self, task: asyncio.Task[None]) -> None:
        # Its traceback, if it has one, comes back to here.
        self._task = None
        if not task.cancelled():
            self._leave(task.exception())
        elif self._stopped:
            self._leave(None)
        else:
            self._leave(asyncio.CancelledError())


class InlinePump:
    """Reads a sync source on its consumer's thread, a turn at a time.

    It is the buffer's signals, too: to wait for an element is to read on.
    """

    armed = False

    def __init__(self, source: Source, kind: Kind, context: Context, leave: Leave) -> None:
        self.buffer = Buffer(kind, readable=self, writable=self)
        self._source = source
        self._context = context
        self._leave = leave
        self._lock = threading.Lock()
        # What is live does not wait for what comes next. What is quick need not hand it on.
        self._turn_seconds = 0.0 if kind.live or source.is_quick else INLINE_TURN
        self._reading = self._read()
        self._over = False

    def notify(self) -> None:
        pass

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> None:
        with self._lock:
            self._turn()
        if self.buffer.abandoned:
            # By another thread, which found the lock taken.
            self.stop()

    def start(self) -> None:
        pass

    def stop(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._turn()
            finally:
                self._lock.release()

    def discard(self) -> None:
        self.stop()

    def _turn(self) -> None:
        if self._over:
            return
        error: BaseException | None = None
        try:
            if self._context.run(next, self._reading, _OVER) is not _OVER:
                return
        except BaseException as raised:
            error = raised
        self._over = True
        self._leave(error)
        # The buffer holds this pump as its signals, and so would the pipeline itself.
        del self._leave

    def _read(self) -> Iterator[None]:
        try:
            if not self.buffer.abandoned:
                yield from self._fill()
        finally:
            self._source.close()

    def _fill(self) -> Iterator[None]:
        buffer = self.buffer
        turn_ends = time.monotonic() + self._turn_seconds
        for element in self._source.iterator():
            while not (taken := buffer.offer(element)) or time.monotonic() >= turn_ends:
                yield
                if buffer.abandoned:
                    return
                turn_ends = time.monotonic() + self._turn_seconds
                if taken:
                    break
