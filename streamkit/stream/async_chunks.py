"""The chunks of a stream for a task, and their delivery to a client that may leave meanwhile."""

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Self

from streamkit.stream.chunks import max_stall
from streamkit.stream.lost import lose
from streamkit.stream.pipeline import AsyncWait, Pipeline
from streamkit.stream.pump import TASK_TURN
from streamkit.stream.turn import Turn
from streamkit.stream.wake import call_on, weakly

__all__ = ["AsyncChunks", "Departure"]

MAX_CLOSING: Final = 1.0
"""Seconds that an async consumer which leaves early waits for the source to close, and that one has
for its last chunk while the process ends.

A sync source that is inside its own code cannot be woken: it closes when that returns.
"""

_turn: Final = Turn(length=0.005, rest=0.0001)
"""The rest is as long as a thread takes to wake up."""

Departure = Callable[[], Awaitable[object]]
"""Waits until the client has left."""


class AsyncChunks:
    """The chunks of one stream, for a task: an async iterator of non-empty ``bytes``.

    Raises what the source or the encoder raised, unchanged, after the chunks before it. ``leave``
    may be called at any time, from any thread, any number of times: an ``anext`` that is waiting
    then ends at once. ``aclose`` waits for the source to close as well, for a second at most.
    """

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
        self._loop = asyncio.get_running_loop()
        self._first: bytes | None = None
        self._turn_ends = 0.0
        self._max_stall = max_stall(pipeline.kind.live)
        self._gave_up = False
        self._away_since: float | None = None
        self._task: asyncio.Task[Any] | None = None
        self._sending: asyncio.Task[Any] | None = None
        self._is_delivering = False
        self._watch: asyncio.Task[None] | None = None
        self._departure = departure
        if not watches_late:
            self._start_watch()
        pipeline.on_retire = weakly(self._shorten_stall)
        pipeline.on_leave = weakly(self._hear_of_leaving)
        self._check_stall_in(self._max_stall)

    def __del__(self) -> None:
        if not self._pipeline.lifetime.has_left:
            lose(self._pipeline.leave)

    @property
    def is_whole(self) -> bool:
        """Whether the last chunk was taken, and nothing is missing."""
        return self._pipeline.lifetime.is_whole and self._first is None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return self._away_with(first)
        pipeline = self._pipeline
        self._away_since = None
        # A send to a client that has left need not wait for anything, nor a source on a thread for
        # this task: the loop would never come to hear of it.
        if time.monotonic() >= self._turn_ends:
            pipeline.buffer.come_back()
            _turn.rest_if_over()
            await asyncio.sleep(0)
            self._turn_ends = time.monotonic() + TASK_TURN
        while not pipeline.lifetime.has_left:
            chunk = pipeline.take()
            if chunk is not None:
                return self._away_with(chunk)
            if not pipeline.lifetime.has_left:
                await pipeline.wait(pipeline.is_takeable, pipeline.timeout())
        self._timer.cancel()
        raise StopAsyncIteration

    async def prefetch(self) -> bool:
        """Take the first chunk now, so that a source that fails before it fails here.

        False if the source has nothing more for this client.
        """
        self._first = await anext(self, None)
        self._start_watch()
        return not self._pipeline.nothing_more

    def _start_watch(self) -> None:
        departure, self._departure = self._departure, None
        if departure is None:
            return
        give_up = weakly(self._give_up_sending)
        self._watch = self._loop.create_task(_leave_after(departure, self._pipeline, give_up))
        self._pipeline.call_on_close(partial(_stop_watching, weakref.ref(self), self._watch))

    async def deliver(
        self, head: Callable[[], Awaitable[None]], body: Callable[[bytes, bool], Awaitable[None]]
    ) -> None:
        """Send the ``head`` and then the ``body`` chunk by chunk, each with whether more will come.

        A whole body ends with an empty chunk; one whose client has left does not. An OSError that
        they raise says that it has. If they do not return for two minutes, or an hour if the stream
        is not live, it is given up, and this returns. Closes the stream.

        Raises what the source or the encoder raised, after the chunks before it.
        """
        self._is_delivering = True
        try:
            if self._first is not None or self.is_whole:
                await self._send(head())
            async for chunk in self:
                await self._send(body(chunk, True))
            if self.is_whole:
                # A server may wait for room before it takes even what is empty.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._max_stall):
                        await self._send(body(b"", False))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._gave_up or task is None or task.uncancel():
                raise
        finally:
            await self.aclose()

    def leave(self) -> None:
        self._first = None
        self._pipeline.leave()

    async def aclose(self) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        self.leave()
        buffer = self._pipeline.buffer
        closing_ends = time.monotonic() + MAX_CLOSING
        while not buffer.ended and (seconds_left := closing_ends - time.monotonic()) > 0:
            await self._pipeline.wait(lambda: buffer.ended, seconds_left)
        if self._watch is not None:
            await asyncio.wait((self._watch,))

    async def _send(self, sending: Awaitable[None]) -> None:
        self._sending = asyncio.current_task()
        is_taken = True
        try:
            await sending
        except OSError:
            is_taken = False
        finally:
            self._sending = None
        if not is_taken:
            self.leave()

    def _away_with(self, chunk: bytes) -> bytes:
        self._away_since = time.monotonic()
        self._task = asyncio.current_task()
        return chunk

    def _hear_of_leaving(self) -> None:
        call_on(self._loop, self._after_leaving)

    def _after_leaving(self) -> None:
        self._timer.cancel()
        self._give_up_sending()

    def _give_up_sending(self) -> None:
        """There is nobody to send to any more: what is being sent is not waited for."""
        if self._sending is not None:
            self._gave_up = True
            self._sending.cancel()
            self._sending = None

    def _shorten_stall(self) -> None:
        """The stream is retired, but its consumer may never come back to hear of it."""
        self._max_stall = MAX_CLOSING
        call_on(self._loop, self._give_up_if_stalled)

    def _give_up_if_stalled(self) -> None:
        """Make the consumer leave if its client takes nothing: it is as good as gone."""
        self._timer.cancel()
        if self._pipeline.lifetime.has_left:
            return
        away_since = self._away_since
        stall = 0.0 if away_since is None else time.monotonic() - away_since
        if stall < self._max_stall:
            self._check_stall_in(self._max_stall - stall)
            return
        self._gave_up = True
        self._sending = None
        self.leave()
        if self._task is not None:
            self._task.cancel()

    def _check_stall_in(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, weakly(self._give_up_if_stalled))


async def _leave_after(
    departure: Departure, pipeline: Pipeline[AsyncWait], give_up: Callable[[], None]
) -> None:
    await departure()
    pipeline.leave()
    # The end may still be on its way, which a consumer sends that has left already.
    give_up()


def _stop_watching(
    chunks: "weakref.ref[AsyncChunks]",
    watch: "asyncio.Task[None]",
    failure: BaseException | None,
) -> None:
    """The stream is over. Who delivers it has its end to send, and stops the watch after that."""
    found = chunks()
    if found is None or not found._is_delivering:
        call_on(watch.get_loop(), partial(_cancel, watch))


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
