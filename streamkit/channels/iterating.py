"""The events of channels one by one, for whatever is no stream of them itself."""

import threading
from contextlib import nullcontext, suppress
from typing import Self

from streamkit.channels.frame import GAP, event_of
from streamkit.channels.listener import Listener
from streamkit.consumer import consumer
from streamkit.event import ServerSentEvent
from streamkit.loop import asyncio_loop, running_loop
from streamkit.lost import look_for_lost, lose

__all__ = ["AsyncEvents", "Events"]


class _Reader:
    """What both iterators are but for the waiting."""

    def __init__(self, listener: Listener) -> None:
        look_for_lost()
        self._listener = listener
        # The seat that is looked at first: behind the last that was read, so that all have a turn.
        self._turn = 0
        # Held by who asks for the next event: what it waits with is for one alone.
        self._asked = threading.Lock()

    def __del__(self) -> None:
        if not self._listener.has_left:
            lose(self._listener.leave)

    def _ask(self) -> None:
        if not self._asked.acquire(blocking=False):
            raise RuntimeError(
                "somebody else waits for the next event of this iterator already: let each have an "
                "iterator of its own"
            )

    def _next(self) -> ServerSentEvent | None:
        """What comes next, if there is something."""
        listener = self._listener
        seats = listener.seats
        for turn in range(self._turn, self._turn + len(seats)):
            seat = seats[turn % len(seats)]
            cursor = seat.cursor
            while not cursor.is_at_head:
                self._turn = turn % len(seats) + 1
                gap = cursor.skip()
                if gap is not None:
                    told = seat.told_of(gap)
                    return ServerSentEvent(told, event=GAP, id=listener.last_event_id)
                # What was there a moment ago may be gone, as others go on publishing.
                with suppress(KeyError):
                    lines, is_text = cursor.read_one()
                    return event_of(lines, is_text, listener.last_event_id)
        return None

    def _is_ready(self) -> bool:
        return self._listener.has_left or not self._listener.is_at_head()

    def _close(self) -> None:
        self._listener.leave()
        # Who waits for the next event is told that there is none.
        self._listener.waiter.notify()


class Events(_Reader):
    """For a thread. It ends when it is closed, or the client of the stream whose source it is in
    leaves.
    """

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerSentEvent:
        if running_loop() is not None:
            raise RuntimeError(
                "the next event of a channel would block the event loop: read it by async for"
            )
        self._ask()
        try:
            event = self._wait_for_next()
        finally:
            self._asked.release()
        if event is None:
            self.close()
            raise StopIteration
        return event

    def _wait_for_next(self) -> ServerSentEvent | None:
        listener = self._listener
        reader = consumer.get()
        # The waiter may be notified before it waits: what wakes it is looked at in between.
        with nullcontext() if reader is None else reader.waking(listener.waiter.notify):
            while not (listener.has_left or (reader is not None and reader.has_left)):
                event = self._next()
                if event is not None:
                    return event
                listener.wait(
                    lambda: self._is_ready() or (reader is not None and reader.has_left), None
                )
        return None

    def close(self) -> None:
        """It is not wanted any longer: who waits for its next event gets the end. On any thread."""
        self._close()


class AsyncEvents(_Reader):
    """For a loop. A view may make it on another one than its stream runs on, or on none."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        listener = self._listener
        self._ask()
        try:
            listener.wait_on(asyncio_loop())
            while not listener.has_left:
                event = self._next()
                if event is not None:
                    return event
                waiter = listener.wait(self._is_ready)
                if waiter is not None:
                    await waiter
        finally:
            self._asked.release()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """It is not wanted any longer: who waits for its next event gets the end."""
        self._close()
