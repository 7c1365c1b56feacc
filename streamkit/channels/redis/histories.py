"""The histories of channels that this process listens to, as they are in a Redis."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final

from redis.exceptions import ResponseError

from streamkit.channels.frame import GAP, Frame
from streamkit.channels.hub import Hub
from streamkit.channels.hubs import Hubs, lock
from streamkit.channels.metrics import count_reader
from streamkit.channels.position import Position
from streamkit.channels.redis.log import (
    KEEP_FOR,
    MAX_NUMBER,
    channel_of,
    frame_from,
    key_of,
    look,
    position_from,
)
from streamkit.channels.redis.reader import Reader, checked
from streamkit.channels.redis.server import Server, exchange, run_scripts, scripts
from streamkit.channels.ring import MAX_EVENTS, Anteroom, Ring
from streamkit.log import say_once

__all__ = ["HistoryReader"]

KEEP_INTERVAL: Final = 600.0
"""Seconds between two times that histories are kept which are listened to, published to or not."""

# Histories of channels change with the lock held, by the thread of the reader alone.


class HistoryReader(Reader[Hub]):
    """Fills the rings of all channels in ``hubs``. Its thread ends when there are none for long."""

    topics: ClassVar[str] = "channels"
    chores_interval: ClassVar[float] = 15.0

    def __init__(self, server: Server, hubs: Hubs) -> None:
        """Called, like ``anteroom``, with the lock held."""
        self._hubs = hubs
        self._anterooms: dict[Hub, Anteroom] = {}
        # Of which the server has given a number twice.
        self._doubled: set[Hub] = set()
        self._keep_at = 0.0
        super().__init__(server)

    def anteroom(self, hub: Hub) -> Anteroom:
        """Where to wait until a channel was looked at once more."""
        anteroom = self._anterooms.get(hub)
        if anteroom is None:
            anteroom = self._anterooms[hub] = Anteroom()
            self.want(hub)
        return anteroom

    def _is_needed(self) -> bool:
        return len(self._hubs) > 0

    def _all(self) -> list[Hub]:
        return [*self._hubs]

    def _channel_of(self, topic: Hub) -> bytes:
        return channel_of(topic.name, self._server.database)

    def _note(self, *, is_up: bool) -> None:
        count_reader(is_up=is_up)

    def _take_message(self, topic: Hub, content: bytes) -> None:
        hub = topic
        event_id, _, kept = content.partition(b" ")
        position = position_from(event_id)
        if position is None:
            say_once(f"channel {hub.name!r}: a message in Redis is none of streamkit's")
            return
        ring = hub.ring
        if position == (ring.epoch, ring.head + 1):
            with lock:
                self._hubs.append(hub, _frame(hub, kept))
            self._grown[hub] = None
            return
        if position <= ring.position:
            if _is_the_same(hub, position, kept):
                return
            # A server forgot what it had told, and told another.
            self._doubled.add(hub)
        with lock:
            self._wanted[hub] = None

    def _read(self, portion: list[Hub]) -> None:
        looks = scripts(look(hub.name, self._seen(hub)) for hub in portion)
        found: list[tuple[Hub, Position]] = []
        for hub, reply in zip(portion, run_scripts(self._questions, looks), strict=True):
            if isinstance(reply, ResponseError):
                if not str(reply).startswith("WRONGTYPE"):
                    raise reply
                # One key of somebody else's is to cost no other channel anything.
                say_once(f"channel {hub.name!r} is not to be read: {reply}")
                continue
            position = position_from(reply)
            if position is None:
                raise ConnectionError(f"the id {reply!r:.80} is none of streamkit's")
            self._doubled.discard(hub)
            found.append((hub, position))
        to_read = [(hub, top) for hub, top in found if hub.ring.position != top]
        # Of a history that has just begun there is nothing to be read.
        ranges = [_range(hub, top) for hub, top in to_read if top.number]
        if ranges:
            self._questions.send_packed_command(
                self._questions.pack_commands(ranges), check_health=False
            )
        for hub, top in to_read:
            # One by one, as all together they may be large.
            entries: Any = ()
            if top.number:
                entries = self._questions.read_response(disable_decoding=True)
            _apply(self._hubs, hub, top, entries)
            self._grown[hub] = None
        with lock:
            for hub, _ in found:
                if hub in self._anterooms and hub.ring.epoch:
                    self._anterooms.pop(hub).give_way(hub.ring)
                    self._grown[hub] = None

    def _seen(self, hub: Hub) -> Position | None:
        """The highest position that this process has seen, or the last one there can be.

        That is of a history in which numbers were given twice: whatever it has come to by now, it
        is to begin anew.
        """
        position = hub.ring.position
        if hub in self._doubled:
            return position._replace(number=MAX_NUMBER)
        return position if position.epoch else None

    def _do_chores(self, now: float) -> None:
        with lock:
            self._hubs.sweep(now)
            hubs = {*self._hubs}
            listened_to = [hub for hub in hubs if hub.listeners]
        gone = [name for name, hub in self._subscribed.items() if hub not in hubs]
        self._unsubscribe(gone)
        if now >= self._keep_at:
            self._keep_at = now + KEEP_INTERVAL
            keep = [(b"EXPIRE", key_of(hub.name), b"%d" % KEEP_FOR) for hub in listened_to]
            for start in range(0, len(keep), 1000):
                checked(exchange(self._questions, keep[start : start + 1000]))


def _frame(hub: Hub, kept: bytes) -> Frame:
    """What was kept of an event; of what cannot be read, that one is missing."""
    frame = frame_from(kept)
    if frame is None:
        say_once(f"channel {hub.name!r}: an event in Redis is none of streamkit's, and is skipped")
        return b'event: %b\ndata: {"missed":1}\n' % GAP.encode(), False
    return frame


def _is_the_same(hub: Hub, position: Position, kept: bytes) -> bool:
    """Whether the event of this position, not after the latest one, is this one as far as known."""
    ring = hub.ring
    if position.epoch == ring.epoch:
        # It may be no longer here.
        with suppress(KeyError):
            return ring.frame(position.number) == _frame(hub, kept)
    return True


def _range(hub: Hub, top: Position) -> Sequence[bytes]:
    """The command that reads what ``hub`` misses of the history that ends at ``top``."""
    ring = hub.ring
    first = max(1, top.number - MAX_EVENTS + 1)
    if ring.epoch == top.epoch:
        first = max(first, ring.head + 1)
    return b"XRANGE", key_of(hub.name), b"%d-%d" % (top.epoch, first), str(top).encode()


def _apply(hubs: Hubs, hub: Hub, top: Position, entries: Any) -> None:
    """Bring a channel up to ``top``. What is not among the entries is not to be had any more."""
    frames: list[tuple[int, Frame]] = []
    for event_id, fields in entries:
        position = position_from(event_id)
        if position is not None and position.epoch == top.epoch and position.number:
            frames.append((position.number, _frame(hub, fields[1] if len(fields) == 2 else b"")))
    with lock:
        old = hub.ring
        if isinstance(old, Anteroom) and old.publishing:
            # Whoever does so wants it once more, when it is known where those begin who wait there.
            return
        if old.epoch != top.epoch:
            hubs.replace(hub, Ring(top.epoch, frames[0][0] - 1 if frames else top.number))
        ring = hub.ring
        for number, frame in frames:
            if number > ring.head + 1:
                hubs.skip_to(hub, number - 1)
            if number > ring.head:
                hubs.append(hub, frame)
        if top.number > ring.head:
            hubs.skip_to(hub, top.number)
        if old is not ring:
            old.give_way(ring)
