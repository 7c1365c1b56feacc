"""The events of channels one by one, for whatever is no stream of them itself."""

from contextlib import nullcontext, suppress
from typing import Self

from streamkit.channels.frame import GAP, event_of
from streamkit.channels.listener import Listener
from streamkit.consumer import consumer
from streamkit.event import ServerSentEvent
from streamkit.loop import asyncio_loop
from streamkit.lost import look_for_lost, lose

__all__ = ["AsyncEvents", "Events"]


class _Reader:
    """What both iterators are but for the waiting."""

    def __init__(self, listener: Listener) -> None:
        look_for_lost()
        self._listener = listener

    def __del__(self) -> None:
        if not self._listener.has_left:
            lose(self._listener.leave)

    def _next(self) -> ServerSentEvent | None:
        """What comes next, if there is something."""
        listener = self._listener
        for seat in listener.seats:
            cursor = seat.cursor
            while not cursor.is_at_head:
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
        return not self._listener.is_at_head()


class Events(_Reader):
    """For a thread. It ends when the client of the stream leaves whose source it is in."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerSentEvent:
        reader = consumer.get()
        # The waiter may be notified before it waits: what wakes it is looked at in between.
        with nullcontext() if reader is None else reader.waking(self._listener.waiter.notify):
            while not (reader is not None and reader.has_left):
                event = self._next()
                if event is not None:
                    return event
                self._listener.wait(
                    lambda: self._is_ready() or (reader is not None and reader.has_left), None
                )
        self.close()
        raise StopIteration

    def close(self) -> None:
        """It is not wanted any longer."""
        self._listener.leave()


class AsyncEvents(_Reader):
    """For a loop. A view may make it on another one than its stream runs on, or on none."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        self._listener.wait_on(asyncio_loop())
        while True:
            event = self._next()
            if event is not None:
                return event
            waiter = self._listener.wait(self._is_ready)
            if waiter is not None:
                await waiter

    async def aclose(self) -> None:
        """It is not wanted any longer."""
        self._listener.leave()
