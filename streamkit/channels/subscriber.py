"""What a stream of a channel takes its batches from: bytes that are there already."""

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any, Final

from streamkit.channels.engine import engine, tell_of_siblings
from streamkit.channels.frame import GAP, SUBSCRIBED, json_event
from streamkit.channels.listener import Listener, Seat
from streamkit.channels.ring import MAX_PIECE
from streamkit.errors import FellBehind
from streamkit.feed import Hold, Notified, Subscribable
from streamkit.kind import MAX_AWAY
from streamkit.log import say

__all__ = ["Subscribed", "Subscriber"]

BROKEN_OFF: Final = (
    "a client of channel %r is broken off: its stream is lossless, and it was so slow that the "
    "history no longer has what comes next for it. Those that come back by their id are told how "
    "much they missed"
)


class Subscriber:
    """The consumer's side of a buffer that nobody fills: a place in what its channels keep.

    What it drains are pieces of a ``text/event-stream``. A client that came without an id is first
    told where it begins. One that is slow, and not just scheduled late, misses what is older than
    the latest 64 events, and is told of the gap.
    """

    __slots__ = (
        "_abandoned",
        "_away_since",
        "_cursor",
        "_greets",
        "_is_slow",
        "_listener",
        "_seats",
        "dropped",
        "ended",
        "error",
        "offered",
        "readable",
        "wait",
    )

    def __init__(self, listener: Listener, *, greets: bool) -> None:
        self._listener = listener
        self._seats = seats = listener.seats
        self._cursor = seats[0].cursor if len(seats) == 1 else None
        self._greets = greets
        self._away_since: float | None = None
        self._is_slow = False
        self._abandoned = False
        self.readable: Notified = listener.waiter
        self.wait = listener.wait
        self.ended = False
        self.error: BaseException | None = None
        self.offered = 0
        self.dropped = 0

    @property
    def away_since(self) -> float | None:
        return self._away_since

    @away_since.setter
    def away_since(self, since: float | None) -> None:
        if self._away_since is not None and since is None:
            is_late = monotonic() - self._away_since > MAX_AWAY
            # Who missed nothing by it is not slow: what comes now finds it waiting.
            self._is_slow = is_late and not self._listener.is_at_head()
        self._away_since = since

    def readable_now(self) -> bool:
        cursor = self._cursor
        if self._greets:
            is_ready = self._listener.place()
        elif cursor is None:
            is_ready = not self._listener.is_at_head()
        else:
            is_ready = cursor.number != cursor.ring.head
        return is_ready or self.ended or self._abandoned

    def drain(self) -> list[bytes]:
        """Take what is ready, up to 64 KiB or so of each channel."""
        self.away_since = None
        pieces: list[bytes] = []
        if self._abandoned:
            return pieces
        if self._greets:
            if not self._listener.place():
                return pieces
            self._greets = False
            pieces.append(json_event(SUBSCRIBED, {}, self._listener.last_event_id))
        for seat in self._seats:
            self._read(seat, pieces)
        return pieces

    def begin(self, source: Any, context: Context, hold: Hold) -> None:
        """It has listened from the start, so that nothing is missed by then."""

    def take_latest(self, told: int, encode: Callable[[Any], bytes]) -> bytes | None:
        """The latest event of its one channel, if there is nothing else to be read."""
        cursor = self._cursor
        if cursor is None or self._greets or self._abandoned:
            return None
        # All in one place: this is what most of the time of a busy channel goes into.
        ring, number = cursor.ring, cursor.number + 1
        if number != ring.head or number == ring.own_retry:
            return None
        entry = ring.entries.get(number)
        if entry is None:
            return None
        cursor.number = number
        cursor.has_caught_up = True
        self.offered += 1
        self._away_since = monotonic()
        return entry[0]

    def _read(self, seat: Seat, pieces: list[bytes]) -> None:
        cursor, listener = seat.cursor, self._listener
        size = 0
        while not cursor.is_at_head and size < MAX_PIECE:
            try:
                gap = cursor.skip(self._is_slow)
            except FellBehind:
                say(logging.WARNING, BROKEN_OFF, seat.hub.name)
                raise
            if gap is not None:
                pieces.append(json_event(GAP, seat.told_of(gap), listener.last_event_id))
                if gap.was_connected and gap.missed is not None:
                    self.offered += gap.missed
                    self.dropped += gap.missed
            # What was there a moment ago may be gone, as others go on publishing.
            with suppress(KeyError):
                if len(self._seats) == 1:
                    wire, events = cursor.read()
                    self.offered += events
                else:
                    lines, _ = cursor.read_one()
                    wire = b"%bid: %b\n\n" % (lines, listener.last_event_id.encode())
                    self.offered += 1
                pieces.append(wire)
                size += len(wire)

    def abandon(self) -> None:
        self._abandoned = True
        self._listener.waiter.notify()
        self._listener.leave()

    def end(self, error: BaseException | None = None) -> None:
        self.error = error
        self.ended = True
        self._listener.waiter.notify()


class Subscribed(Subscribable):
    """The source of a stream of channels, until somebody is there for it."""

    def __init__(
        self,
        names: Sequence[str],
        last_event_id: str | None,
        *,
        is_lossless: bool,
    ) -> None:
        self._names = names
        self._last_event_id = last_event_id
        self._is_lossless = is_lossless

    def resumed(self, last_event_id: str | None) -> "Subscribed":
        """The same for a client that comes with this id, if none was known before."""
        if self._last_event_id is not None or last_event_id is None:
            return self
        return Subscribed(self._names, last_event_id, is_lossless=self._is_lossless)

    def tell_of_siblings(self) -> None:
        """The server has several processes, of which each has channels of its own."""
        tell_of_siblings()

    def subscribe(self, loop: AbstractEventLoop | None) -> Subscriber:
        """A place of the caller's own, on ``loop`` or on this thread, from now on."""
        last_event_id = self._last_event_id
        listener = Listener(
            engine(), self._names, last_event_id, loop, is_lossless=self._is_lossless
        )
        return Subscriber(listener, greets=last_event_id is None)
