"""The chunks of a stream, and the two ways to take them: on a thread and on a loop."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Self

from streamkit.stream.pipeline import Pipeline
from streamkit.stream.pump import TASK_TURN
from streamkit.stream.turn import Turn
from streamkit.stream.wake import call_on, weakly

__all__ = ["MAX_STALL", "AsyncChunks", "Chunks"]

CLOSING_PATIENCE: Final = 1.0
"""Seconds that an async consumer which leaves early waits for the source to close.

A sync source that is inside its own code cannot be woken: it closes when that returns.
"""

LOOK: Final = 0.5
"""Seconds between two looks at the client of a thread that waits for its source."""

MAX_STALL: Final = 120.0
"""Seconds in which a client has to take something of what it is sent."""

_turn: Final = Turn(length=0.005, rest=0.0001)
"""The rest is as long as a thread takes to wake up."""


class Chunks:
    """The chunks of one stream, for a thread: an iterator of non-empty ``bytes``.

    Raises what the source or the encoder raised, unchanged, after the chunks before it. ``close``
    may be called at any time, from any thread, any number of times: a ``next`` that is waiting
    then ends at once.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._signal = pipeline.open_for_thread()
        self._pipeline = pipeline
        self._first: bytes | None = None
        self._client_left: Callable[[], bool] | None = None
        pipeline.abandon_with(self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        pipeline = self._pipeline
        while not pipeline.over:
            chunk = pipeline.take()
            if chunk is not None:
                return chunk
            if not pipeline.over:
                self._wait()
        raise StopIteration

    def prefetch(self) -> None:
        """Take the first chunk now, so that a source that fails before it fails here."""
        self._first = next(self, None)

    def watch(self, client_left: Callable[[], bool]) -> None:
        """Ask, while waiting for the source, whether the client has left, and then stop.

        What ``client_left`` raises is raised by the waiting ``next``.
        """
        self._client_left = client_left

    def close(self) -> None:
        self._first = None
        self._pipeline.abandon()

    def _wait(self) -> None:
        ready, timeout = self._pipeline.takeable, self._pipeline.timeout()
        if self._client_left is None:
            self._signal.wait(ready, timeout)
            return
        self._signal.wait(ready, LOOK if timeout is None else min(timeout, LOOK))
        try:
            left = not ready() and self._client_left()
        except BaseException:
            self.close()
            raise
        if left:
            self.close()


class AsyncChunks:
    """The chunks of one stream, for a task: an async iterator of non-empty ``bytes``.

    Raises what the source or the encoder raised, unchanged, after the chunks before it. ``abandon``
    may be called at any time, from any thread, any number of times: an ``anext`` that is waiting
    then ends at once. ``aclose`` waits for the source to close as well, for a second at most.
    """

    gave_up: bool = False
    """Whether the task that took the last chunk was cancelled, as it never came back."""
    max_stall: float
    """Seconds that it may be away with a chunk."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._loop = asyncio.get_running_loop()
        self._signal = pipeline.open_for_loop(self._loop)
        self._pipeline = pipeline
        self._first: bytes | None = None
        self._turn_ends = 0.0
        self.max_stall = MAX_STALL
        self._away_since: float | None = None
        self._task: asyncio.Task[Any] | None = None
        pipeline.abandon_with(self)
        pipeline.hurry = weakly(self._hurry)
        self._look_in(MAX_STALL)

    @property
    def completed(self) -> bool:
        """Whether the last chunk was taken: the stream is whole."""
        return self._pipeline.completed and self._first is None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
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
        while not pipeline.over:
            chunk = pipeline.take()
            if chunk is not None:
                return self._away_with(chunk)
            if not pipeline.over:
                await self._signal.wait(pipeline.takeable, pipeline.timeout())
        self._timer.cancel()
        raise StopAsyncIteration

    async def prefetch(self) -> bool:
        """Take the first chunk now, so that a source that fails before it fails here.

        Returns whether there is a response, be it an empty one.
        """
        self._first = await anext(self, None)
        return self._first is not None or self._pipeline.completed

    def abandon(self) -> None:
        self._first = None
        self._pipeline.abandon()

    async def aclose(self) -> None:
        self._timer.cancel()
        self.abandon()
        buffer = self._pipeline.buffer
        patience_ends = time.monotonic() + CLOSING_PATIENCE
        while not buffer.ended and (patience := patience_ends - time.monotonic()) > 0:
            await self._signal.wait(lambda: buffer.ended, patience)

    def _away_with(self, chunk: bytes) -> bytes:
        self._away_since = time.monotonic()
        self._task = asyncio.current_task()
        return chunk

    def _hurry(self) -> None:
        """The stream is retired, but its consumer may never come back to hear of it."""
        self.max_stall = CLOSING_PATIENCE
        call_on(self._loop, self._look)

    def _look(self) -> None:
        """Whether the client takes what it is sent; one that does not is as good as gone."""
        self._timer.cancel()
        if self._pipeline.over:
            return
        away_since = self._away_since
        stall = 0.0 if away_since is None else time.monotonic() - away_since
        if stall < self.max_stall:
            self._look_in(self.max_stall - stall)
            return
        self.gave_up = True
        self.abandon()
        if self._task is not None:
            self._task.cancel()

    def _look_in(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, weakly(self._look))
