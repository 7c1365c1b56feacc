"""The chunks of a stream for a task, and their delivery to a client that may leave meanwhile."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import Any, Final, Self

from streamkit.loop import call_on
from streamkit.lost import lose
from streamkit.stream.chunks import max_stall
from streamkit.stream.pipeline import AsyncWait, Pipeline
from streamkit.stream.pump import TASK_TURN
from streamkit.stream.turn import Turn

__all__ = ["AsyncChunks", "Departure"]

MAX_CLOSING: Final = 1.0
"""Seconds that an async consumer which leaves waits for the source to close and the watch to end,
and that one has for its last chunk while the process ends.

A sync source that is inside its own code cannot be woken: it closes when that returns. A watch is
cancelled, which somebody else's ``receive`` may make anything of.
"""

_turn: Final = Turn(length=0.005, rest=0.0001)
"""The rest is as long as a thread takes to wake up."""

Departure = Callable[[], Coroutine[Any, Any, object]]
"""Waits until the client has left."""


class AsyncChunks:
    """The chunks of one stream, for a task: an async iterator of non-empty ``bytes``.

    Raises what the source or the encoder raised, unchanged, after the chunks before it. ``leave``
    may be called at any time, from any thread, any number of times: an ``anext`` that is waiting
    then ends at once. ``aclose`` waits for the source to close as well, and for the watch over
    ``departure`` to end, for a second at most.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_context",
        "_departure",
        "_first",
        "_gave_up",
        "_is_delivering",
        "_is_sending",
        "_is_timer_late",
        "_loop",
        "_max_stall",
        "_pipeline",
        "_readable_now",
        "_task",
        "_timer",
        "_turn_ends",
        "_watch",
        "_weakly",
    )

    def __init__(
        self,
        pipeline: Pipeline[AsyncWait],
        departure: Departure | None = None,
        *,
        watches_late: bool = False,
    ) -> None:
        """``departure`` is awaited beside the stream, which its consumer leaves when it returns.

        From the start, or if it ``watches_late`` from the first chunk on.
        """
        self._pipeline = pipeline
        self._buffer = pipeline.buffer
        self._readable_now = pipeline.buffer.readable_now
        self._loop = asyncio.get_running_loop()
        self._first: bytes | None = None
        self._turn_ends = 0.0
        self._max_stall = max_stall(pipeline.kind.live)
        self._gave_up = False
        self._task: asyncio.Task[Any] | None = None
        self._is_sending = False
        self._is_delivering = False
        self._watch: asyncio.Future[object] | None = None
        self._departure = departure
        self._context = copy_context()
        """What the watch and the timer run in: each would have a copy of its own."""
        self._weakly = _Reference(self)
        pipeline.consumer = self._weakly
        if not watches_late:
            self._start_watch()
        self._timer: asyncio.TimerHandle | None = None
        self._is_timer_late = True
        """Whether something is due before the timer fires."""

    def __del__(self) -> None:
        if not self._pipeline.lifetime.has_left:
            lose(self._pipeline.leave)
        watch = self._watch
        if watch is not None and not watch.done():
            lose(partial(_stop, watch))

    @property
    def is_whole(self) -> bool:
        """Whether the last chunk was taken, and nothing is missing."""
        return self._pipeline.lifetime.is_whole and self._first is None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._task = asyncio.current_task()
        chunk, self._first = self._first, None
        if chunk is None:
            chunk = await self._next()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def _next(self) -> bytes | None:
        """The next chunk, once there is one; None at the end."""
        pipeline = self._pipeline
        while not pipeline.lifetime.has_left:
            if (waiting := self._wait()) is not None:
                await waiting
            if chunk := pipeline.take():
                return chunk
        self._cancel_timer()
        return None

    def _wait(self) -> Awaitable[None] | None:
        """What to await before the next ``take``; None if that need not wait."""
        pipeline = self._pipeline
        self._buffer.away_since = None
        if self._is_timer_late:
            pipeline.start()
            self._is_timer_late = False
            self._set_timer(min(pipeline.agenda.due, monotonic() + self._max_stall))
        wait = pipeline.wait
        waiter = None if pipeline.batches.has_more else wait(self._readable_now)
        if waiter is None and monotonic() >= self._turn_ends:
            # A send to a client that has left need not wait for anything, nor a source on a thread
            # for this task: the loop would never come to hear of it.
            return self._rest()
        return waiter

    async def _rest(self) -> None:
        _turn.rest_if_over()
        await asyncio.sleep(0)
        self._turn_ends = monotonic() + TASK_TURN

    async def prefetch(self) -> bool:
        """Take the first chunk now, so that a source that fails before it fails here.

        False if the source has nothing more for this client.
        """
        self._task = asyncio.current_task()
        self._first = await self._next()
        self._start_watch()
        return not self._pipeline.nothing_more

    def _start_watch(self) -> None:
        departure, self._departure = self._departure, None
        if departure is None:
            return
        context = self._context
        self._watch = self._loop.create_task(departure(), name="streamkit-watch", context=context)
        self._watch.add_done_callback(self._weakly.leave, context=context)

    async def deliver(
        self, head: Callable[[], Awaitable[None]], body: Callable[[bytes, bool], Awaitable[None]]
    ) -> None:
        """Send the ``head`` and then the ``body`` chunk by chunk, each with whether more will come.

        A whole body ends with an empty chunk; one whose client has left does not. An OSError that
        they raise says that it has. If they do not return for two minutes, or an hour if the stream
        is not live, it is given up, and this returns. Closes the stream.

        Raises what the source or the encoder raised, after the chunks before it, and what they
        raise, unless the client was given up by then. Is cancelled with its task, also where they
        keep that to themselves, as ``wait_for`` of Python 3.11 may.
        """
        self._is_delivering = True
        task = self._task = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        try:
            if self._first is not None or self.is_whole:
                self._is_sending = True
                await head()
                self._is_sending = False
            # What it holds is not kept for as long as the stream is open.
            del head
            chunk, self._first = self._first, None
            pipeline = self._pipeline
            lifetime = pipeline.lifetime
            while chunk is not None or not lifetime.has_left:
                if chunk:
                    self._is_sending = True
                    await body(chunk, True)
                    self._is_sending = False
                    if task.cancelling() > cancels:
                        raise asyncio.CancelledError
                    # Not kept until the next one, which may be long.
                    chunk = None
                # As ``_next`` does, without a coroutine for each chunk.
                if (waiting := self._wait()) is not None:
                    await waiting
                chunk = pipeline.take()
            if self.is_whole:
                self._is_sending = True
                # A server may wait for room before it takes even what is empty.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._max_stall):
                        await body(b"", False)
        except asyncio.CancelledError:
            if not self._gave_up or task.uncancel():
                raise
        except Exception as error:
            if self._gave_up:
                # That is what it makes of being cancelled for this.
                task.uncancel()
            elif not (self._is_sending and isinstance(error, OSError)):
                raise
            self._is_sending = False
            self.leave()
        finally:
            self._is_sending = False
            await self.aclose()

    def leave(self) -> None:
        self._first = None
        self._pipeline.leave()

    async def aclose(self) -> None:
        self._cancel_timer()
        if self._watch is not None:
            self._watch.cancel()
        self.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_CLOSING):
                while (waiter := self._pipeline.wait(self._is_closed)) is not None:
                    await waiter
                if self._watch is not None:
                    await asyncio.wait((self._watch,))

    def _is_closed(self) -> bool:
        return self._buffer.ended

    def hear_of_leaving(self) -> None:
        call_on(self._loop, self._after_leaving)

    def hear_of_settling(self) -> None:
        # Who delivers it has its end to send, and stops the watch after that.
        if self._watch is not None and not self._is_delivering:
            _stop(self._watch)

    def _after_leaving(self) -> None:
        self._cancel_timer()
        self._give_up_sending()

    def _give_up_sending(self) -> None:
        """There is nobody to send to any more: what is being sent is not waited for."""
        if self._is_sending and self._task is not None:
            self._is_sending = False
            self._gave_up = True
            self._task.cancel()

    def hear_of_due(self) -> None:
        """Something is due earlier than the timer was set for."""
        call_on(self._loop, self._look_after_both)

    def hear_of_retiring(self) -> None:
        """Its client may take nothing, and the end is not put off for that."""
        self._max_stall = MAX_CLOSING
        self.hear_of_due()

    def _look_after_both(self) -> None:
        """See to a source that is silent, and to a client that takes nothing.

        For the one a heartbeat is due, or the end of the stream; the other is as good as gone.
        """
        pipeline = self._pipeline
        if pipeline.lifetime.has_left:
            return
        now, away_since = monotonic(), self._buffer.away_since
        next_look = (now if away_since is None else away_since) + self._max_stall
        if next_look <= now:
            self._gave_up = True
            self._is_sending = False
            self.leave()
            if self._task is not None:
                self._task.cancel()
            return
        if away_since is None and now < pipeline.agenda.due:
            next_look = min(next_look, pipeline.agenda.due)
        else:
            # When something is due next is known once the consumer comes, or is back.
            self._is_timer_late = True
            if away_since is None:
                self._buffer.readable.notify()
        self._set_timer(next_look)

    def _set_timer(self, at: float) -> None:
        """Look after both then. No chunk puts that off: the timer is set anew when it fires.

        Each stream has one. It fires twice a minute, for a tenth of what the heartbeat costs
        that it is for. One for all of a loop would look at as many streams, in a list of its own
        beside the loop's, and have all their heartbeats sent at the same moment.
        """
        self._cancel_timer()
        delay = max(0.0, at - monotonic())
        self._timer = self._loop.call_later(
            delay, self._weakly.look_after_both, context=self._context
        )

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Reference(weakref.ref[AsyncChunks]):
    """What is called back later: it does not keep the chunks, lost when nobody else has them."""

    __slots__ = ()

    def look_after_both(self) -> None:
        chunks = self()
        if chunks is not None:
            chunks._look_after_both()

    def leave(self, watch: "asyncio.Future[object]") -> None:
        """The ``watch`` has ended, and if it was not stopped, the client has left."""
        if watch.cancelled():
            return
        # What it raises, if anything, is told by the loop.
        watch.result()
        chunks = self()
        if chunks is not None:
            chunks.leave()
            # The end may still be on its way, which a consumer sends that has left already.
            chunks._give_up_sending()


def _stop(watch: "asyncio.Future[object]") -> None:
    call_on(watch.get_loop(), partial(_cancel, watch))


def _cancel(watch: "asyncio.Future[object]") -> None:
    watch.cancel()
