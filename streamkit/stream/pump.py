"""What carries elements from the source into the buffer: a thread, a task, or the consumer."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextvars import Context
from time import monotonic
from typing import Final, Generic, TypeVar

from streamkit.consumer import Consumer, consumer
from streamkit.feed import ConsumerSide, Subscription
from streamkit.kind import Kind
from streamkit.loop import call_on
from streamkit.once import Once
from streamkit.source import Source, under_gevent
from streamkit.stream.buffer import Buffer
from streamkit.stream.setting import Setting
from streamkit.stream.turn import TaskTurn, Turn
from streamkit.stream.unread import Closed
from streamkit.wake import NOBODY, LoopWake, ThreadWake, Wake

__all__ = ["TASK_TURN", "InlinePump", "NoPump", "Pump", "TaskPump", "ThreadPump"]

INLINE_TURN: Final = 0.01
"""Seconds that an inline source is read on for one batch.

A judgement: rows that come one by one make large chunks, and each of them is at most so much later.
"""

TASK_TURN: Final = 0.001
"""Seconds after which a task that has no need to wait lets the rest of its loop run.

A judgement: hundreds of elements fit in, so that the change of tasks costs each of them little, and
what else the loop has to do is late by a millisecond for each such source.
"""

TASK_PAUSE: Final = 0.0005
"""Seconds that a source which never waits stands back after its turn.

A judgement: several times what a thread takes to wake up, so that another gets the interpreter, and
half of ``TASK_TURN``, so that the source has the rest. What it is for, and what was seen without
it, is in docs/reliability.md (a source that never makes its stream wait).
"""

_turn: Final = Turn(TASK_TURN, TASK_PAUSE)

_SOURCE_ENDED: Final = object()

_SOURCE_CLOSED: Final = object()
"""Stands for the end of an inline pump's reading: the source was read, and is closed."""


SideT = TypeVar("SideT", bound=ConsumerSide)


class Pump(ABC, Generic[SideT]):
    """Reads a source to its end into ``buffer``, and closes it.

    All of the source, from its first element to its ``close``, runs under one context and on one
    thread or task. A pump that is never started touches nothing.
    """

    __slots__ = ("_context", "buffer", "claim_source", "loop", "source")

    def __init__(
        self,
        source: Source,
        context: Context,
        buffer: SideT,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.source = source
        self.buffer = buffer
        self.loop = loop
        """The loop that an async source is read on; None for a sync one."""
        self.claim_source = Once()
        """Claimed by whoever begins with the source: this pump, or who closes it unread."""
        self._context = context

    @abstractmethod
    def start(self, closed: Closed) -> None:
        """Begin to read, and call ``closed`` once the source is closed, outside of its context.

        Called once at the most. Raises RuntimeError if there is no thread to be had, and whatever
        interrupts the caller: then ``claim_source`` says whether it has begun all the same.
        """

    @abstractmethod
    def stop(self) -> None:
        """The buffer was abandoned: see to it that the source closes as soon as it can."""


def _as_told_to_consumer(error: BaseException) -> BaseException:
    """What the consumer is to raise of what a source raised on another thread or in another task.

    Where the consumer runs, what is no Exception would end the server, its loop or its worker, or
    would pass for a cancellation of the consumer, whose response then may look complete.
    """
    if isinstance(error, Exception):
        return error
    told = RuntimeError(f"a source raised {type(error).__name__}")
    told.__cause__ = error
    return told


class ThreadPump(Pump[Buffer]):
    """Reads a sync source on a thread of its own."""

    __slots__ = ("_consumer", "_writable")

    def __init__(self, source: Source, kind: Kind, context: Context, readable: Wake) -> None:
        self._writable = ThreadWake()
        self._consumer = Consumer()
        super().__init__(source, context, Buffer(kind, readable, self._writable))

    def start(self, closed: Closed) -> None:
        # The thread is a daemon, since no source may keep the interpreter from exiting.
        threading.Thread(
            target=self._run, args=(closed,), name="streamkit-pump", daemon=True
        ).start()

    def stop(self) -> None:
        # The abandoned buffer has woken the thread if it waited for room. Nothing wakes a thread
        # that is inside the source's own code, unless that waits for a channel.
        self._consumer.leave()

    def _run(self, closed: Closed) -> None:
        if not self.claim_source():
            return
        try:
            self._context.run(self._read)
        except BaseException as error:
            closed(_as_told_to_consumer(error))
        else:
            closed(None)

    def _read(self) -> None:
        consumer.set(self._consumer)
        try:
            if not self.buffer.abandoned:
                self._fill()
        finally:
            self.source.close()

    def _fill(self) -> None:
        buffer, elements = self.buffer, self.source.iterator()
        # A greenlet runs until it waits, and a source whose elements are dropped never does: they
        # would not let others run.
        is_greenlet = under_gevent()
        take = next if is_greenlet else buffer.take_from
        dropped = 0
        while (element := take(elements, _SOURCE_ENDED)) is not _SOURCE_ENDED:
            while not buffer.offer(element):
                if buffer.abandoned:
                    return
                self._writable.wait(buffer.writable_now, buffer.seconds_until_drop())
            if is_greenlet or buffer.dropped != dropped:
                dropped = buffer.dropped
                _turn.rest_if_over()


class TaskPump(Pump[Buffer]):
    """Reads an async source as a task of ``loop``."""

    __slots__ = ("_closed", "_is_reading", "_is_stopped", "_loop", "_task", "_writable")

    def __init__(
        self,
        source: Source,
        kind: Kind,
        context: Context,
        readable: Wake,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._writable = LoopWake(loop)
        super().__init__(source, context, Buffer(kind, readable, self._writable), loop)
        self._loop = loop
        self._closed: Closed | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_reading = False
        self._is_stopped = False

    def start(self, closed: Closed) -> None:
        self._closed = closed
        if not call_on(self._loop, self._start):
            raise RuntimeError("the event loop that the source was to be read on is closed")

    def stop(self) -> None:
        call_on(self._loop, self._cancel)

    def _start(self) -> None:
        if not self.claim_source():
            return
        self._task = self._loop.create_task(
            self._run(), name="streamkit-pump", context=self._context
        )
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        # Only a task that reads is cancelled, and once. One that has yet to begin would never close
        # its source then, and one whose source is closing would not finish that.
        self._is_stopped = True
        if self._task is not None and self._is_reading:
            self._is_reading = False
            self._task.cancel()

    async def _run(self) -> None:
        buffer, readable = self.buffer, self.buffer.readable
        turn = TaskTurn(self._loop, TASK_TURN)
        # A consumer on this loop that waits, though the last element woke it up, had its turn.
        is_on_loop = isinstance(readable, LoopWake)
        try:
            if buffer.abandoned:
                return
            self._is_reading = True
            async for element in self.source.async_iterator():
                had_turn = is_on_loop and readable.armed
                while not buffer.offer(element):
                    if buffer.abandoned:
                        return
                    await self._writable.wait(buffer.writable_now, buffer.seconds_until_drop())
                # Not kept until the next one, which may be long.
                del element
                if not had_turn and turn.is_over():
                    # The pause is not 0, since a loop that never sleeps takes the interpreter back
                    # before other threads have woken up to it.
                    await asyncio.sleep(TASK_PAUSE)
        except SystemExit as error:
            raise _as_told_to_consumer(error) from error
        finally:
            self._is_reading = False
            await self.source.aclose()

    def _end(self, task: "asyncio.Task[None]") -> None:
        # The traceback of what the task raised leads back to this pump, which is not to keep it,
        # nor the callback, which leads to the pipeline.
        closed, self._closed, self._task = self._closed, None, None
        if closed is None:
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None or (self._is_stopped and task.cancelled()):
            closed(None)
        else:
            closed(_as_told_to_consumer(error))


class NoPump(Pump[Subscription]):
    """For what is filled without one: the place of a subscriber in a channel."""

    __slots__ = ("_closed", "_hold")

    def __init__(self, source: Source, setting: Setting, buffer: Subscription) -> None:
        super().__init__(source, setting.context, buffer)
        self._hold = setting.hold
        self._closed: Closed | None = None

    def start(self, closed: Closed) -> None:
        if self.claim_source():
            self._closed = closed
            self.buffer.begin(self.source, self._context, self._hold)

    def stop(self) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(None)


class InlinePump(Pump[Buffer]):
    """Reads a sync source on its consumer's thread, a turn at a time, in place of its waiting."""

    __slots__ = ("_closed", "_consumer", "_lock", "_reading", "_turn_seconds")

    def __init__(self, source: Source, kind: Kind, context: Context) -> None:
        super().__init__(source, context, Buffer(kind, NOBODY, NOBODY))
        self._consumer = Consumer()
        # Whoever reads holds the lock. Another thread that stops the pump meanwhile leaves it to
        # that one to close the source.
        self._lock = threading.Lock()
        # An element of a live stream does not wait for those after it, and a file's pieces are
        # large enough to go out one by one: both are handed on at once.
        self._turn_seconds = 0.0 if kind.live or source.never_waits else INLINE_TURN
        self._closed: Closed | None = None

    def start(self, closed: Closed) -> None:
        if self.claim_source():
            self._reading = self._read()
            self._closed = closed

    def read_on(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Read for a turn, if nothing is ``ready()``: what a consumer does in place of waiting."""
        if ready():
            return True
        with self._lock:
            self._read_turn()
        if self.buffer.abandoned:
            # Another thread has abandoned the buffer meanwhile, and found the lock taken.
            self.stop()
        return ready()

    def stop(self) -> None:
        self._consumer.leave()
        if self._lock.acquire(blocking=False):
            try:
                self._read_turn()
            finally:
                self._lock.release()

    def _read_turn(self) -> None:
        if self._closed is None:
            return
        try:
            if self._context.run(next, self._reading, _SOURCE_CLOSED) is not _SOURCE_CLOSED:
                return
        except BaseException as error:
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        # The callback leads to the pipeline, and that to this pump: a circle, which only the
        # garbage collector would find.
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(error)

    def _read(self) -> Iterator[None]:
        consumer.set(self._consumer)
        try:
            if not self.buffer.abandoned:
                yield from self._fill()
        finally:
            self.source.close()

    def _fill(self) -> Iterator[None]:
        buffer = self.buffer
        turn_ends = monotonic() + self._turn_seconds
        for element in self.source.iterator():
            while not (taken := buffer.offer(element)) or monotonic() >= turn_ends:
                yield
                if buffer.abandoned:
                    return
                turn_ends = monotonic() + self._turn_seconds
                if taken:
                    break
