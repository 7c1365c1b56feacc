"""What comes from a Redis for all who listen in this process: one thread, two connections."""

import logging
import random
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from streamkit.channels.frame import GAP, Frame
from streamkit.channels.hub import Hub
from streamkit.channels.hubs import Hubs, lock
from streamkit.channels.metrics import count_reader
from streamkit.channels.position import Position
from streamkit.channels.redis.log import (
    KEEP_FOR,
    channel_of,
    frame_from,
    key_of,
    look,
    position_from,
)
from streamkit.channels.redis.server import (
    Server,
    exchange,
    run_scripts,
    scripts,
    what_is_wrong,
)
from streamkit.channels.ring import MAX_EVENTS, Anteroom, Ring
from streamkit.log import say, say_once

__all__ = ["Reader"]

PATIENCE: Final = 5.0
"""Seconds that the server may take for an answer, to this thread that nobody waits for.

As long as a script may run there before others are told that it does.
"""

SILENCE: Final = 10.0
"""Seconds without a message after which the process sends one to itself."""

MIN_DELAY: Final = 0.1
MAX_DELAY: Final = 5.0
"""Seconds between two attempts to connect: twice as many after each, half of them by chance."""

CHORES_INTERVAL: Final = 15.0
"""Seconds between two looks for channels that are listened to no more."""

KEEP_INTERVAL: Final = 600.0
"""Seconds between two times that histories are kept which are listened to, published to or not."""

SAY_INTERVAL: Final = 60.0
"""Seconds between two lines of the log that say that the server is away."""

PORTION: Final = 100
"""Channels that are read at a time: each may have four megabytes for this process."""

# Histories of channels change with the lock held, by this thread alone.


class Reader:
    """Fills the rings of all channels in ``hubs``. Its thread ends when there are none for long.

    A message that is not the next of its channel, a new channel, a new connection: each time the
    same is done. The position is asked for, and what is missing up to there is read. What comes
    after it comes as a message, as the channel was subscribed to before.
    """

    def __init__(self, server: Server, hubs: Hubs) -> None:
        """Called, like ``want``, ``anteroom`` and ``stop``, with the lock held."""
        self._server = server
        self._hubs = hubs
        self.is_up = False
        """Whether it follows the channels now."""
        self.has_ended = False
        self._is_stopped = False
        self._wanted: dict[Hub, None] = {}
        self._anterooms: dict[Hub, Anteroom] = {}
        self._subscription: Any = None
        self._questions: Any = None
        self._subscribed: dict[bytes, Hub] = {}
        # Subscribed to, and not yet read: a message tells nothing that is not read then.
        self._loading: set[Hub] = set()
        self._unconfirmed: set[bytes] = set()
        self._grown: dict[Hub, None] = {}
        self._probe = b"streamkit:probe:" + secrets.token_hex(8).encode()
        self._heard_at = self._probed_at = 0.0
        self._chores_at = self._keep_at = 0.0
        self._away_since: float | None = None
        self._said_at = -SAY_INTERVAL
        self._is_woken = False
        self._bell, self._rung = socket.socketpair()
        self._bell.setblocking(False)
        self._rung.setblocking(False)
        try:
            threading.Thread(target=self._run, name="streamkit-channels", daemon=True).start()
        except BaseException:
            self._bell.close()
            self._rung.close()
            raise

    def want(self, hub: Hub) -> None:
        """Read what is missing of a channel."""
        self._wanted[hub] = None
        self._wake()

    def anteroom(self, hub: Hub) -> Anteroom:
        """Where to wait until a channel was looked at once more."""
        anteroom = self._anterooms.get(hub)
        if anteroom is None:
            anteroom = self._anterooms[hub] = Anteroom()
            self.want(hub)
        return anteroom

    def stop(self) -> None:
        """Let the thread end."""
        self._is_stopped = True
        self._wake()

    def forget(self) -> None:
        """Close what a child process has of it, as if it had never been."""
        self._disconnect()
        self._bell.close()
        self._rung.close()

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            # Full of what wakes it already, or closed, as the thread has ended.
            with suppress(OSError):
                self._bell.send(b"!")

    # On its thread

    def _run(self) -> None:
        delay = MIN_DELAY
        try:
            while not self._is_over():
                try:
                    self._connect()
                    delay = MIN_DELAY
                    while not self._is_over():
                        self._step()
                except Exception as error:
                    # Any, or all who listen here would never hear of anything again.
                    self._say_away(error)
                self._disconnect()
                if not self._is_over():
                    self._pause(delay * random.uniform(0.5, 1))
                    delay = min(2 * delay, MAX_DELAY)
        finally:
            self._disconnect()
            self.has_ended = True
            self._bell.close()
            self._rung.close()

    def _is_over(self) -> bool:
        with lock:
            if self._is_stopped or not len(self._hubs):
                # Now, so that who comes next finds that it has.
                self.has_ended = True
            return self.has_ended

    def _connect(self) -> None:
        self._subscribed.clear()
        self._loading.clear()
        self._subscription = self._server.connection(PATIENCE)
        self._questions = self._server.connection(PATIENCE)
        self._subscription.connect()
        self._questions.connect()
        self._subscribe([self._probe])
        now = time.monotonic()
        self._heard_at = now
        self._chores_at, self._keep_at = now + CHORES_INTERVAL, now + KEEP_INTERVAL
        with lock:
            hubs = [*self._hubs]
            self._wanted.clear()
        self._load(hubs)
        with lock:
            self.is_up = True
        count_reader(is_up=True)
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            say(logging.WARNING, "channels: Redis is back, after %.1f s", away)
            self._away_since, self._said_at = None, -SAY_INTERVAL

    def _disconnect(self) -> None:
        with lock:
            self.is_up = False
        for connection in (self._subscription, self._questions):
            if connection is not None:
                with suppress(RedisError, OSError):
                    connection.disconnect()
        self._subscription = self._questions = None

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_over() and (left := until - time.monotonic()) > 0:
            self._wait(None, left)

    def _step(self) -> None:
        """Wait for something to do, and do it."""
        now = time.monotonic()
        if now >= self._chores_at:
            self._do_chores(now)
        self._prove(now)
        with lock:
            is_wanted = bool(self._wanted)
        if not is_wanted and not self._subscription.can_read(0):
            due = min(self._chores_at, max(self._heard_at, self._probed_at) + SILENCE)
            self._wait(self._subscription, max(0.0, due - time.monotonic()))
        self._take_messages()
        with lock:
            wanted = [*self._wanted]
            self._wanted.clear()
        if wanted:
            self._load(wanted)

    def _wait(self, connection: Any, timeout: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._rung, selectors.EVENT_READ)
            if connection is not None:
                # Where its messages come in. There is no name for it that all versions have.
                selector.register(connection._sock, selectors.EVENT_READ)
            selector.select(timeout)
        with suppress(BlockingIOError):
            while self._rung.recv(64):
                pass
        # Only now: who finds it true has rung already, and what for is looked at after this.
        self._is_woken = False

    def _prove(self, now: float) -> None:
        """That messages come through the subscription, by one of its own if there is no other.

        An answer on it would prove less: a server answers, and a proxy may, that forgot of it.
        """
        if now - self._heard_at < SILENCE:
            return
        if self._probed_at < self._heard_at:
            self._probed_at = now
            _checked(exchange(self._questions, [(b"PUBLISH", self._probe, b"")]))
        elif now - self._probed_at >= PATIENCE:
            raise ConnectionError("the subscription is silent, and hears not even of this process")

    # Messages

    def _take_messages(self) -> None:
        """All that are there."""
        subscription = self._subscription
        for _ in range(MAX_EVENTS):
            if not subscription.can_read(0):
                break
            self._take(subscription.read_response(disable_decoding=True))
        self._wake_grown()

    def _take(self, reply: Any) -> None:
        self._heard_at = time.monotonic()
        what, channel, content = reply
        if what == b"subscribe":
            self._unconfirmed.discard(channel)
        elif what == b"message":
            hub = self._subscribed.get(channel)
            if hub is not None and hub not in self._loading:
                self._take_message(hub, content)

    def _take_message(self, hub: Hub, content: bytes) -> None:
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
        elif position > ring.position or not _is_the_same(ring, position, kept):
            # Something is missing, or a server forgot what it had told, and told another.
            with lock:
                self._wanted[hub] = None

    def _wake_grown(self) -> None:
        grown, self._grown = self._grown, {}
        for hub in grown:
            with lock:
                wave = hub.threads.take()
            hub.wake(wave)

    # Histories

    def _subscribe(self, channels: Sequence[bytes]) -> None:
        """Return when the server has confirmed all: from then on nothing is missed."""
        subscription = self._subscription
        self._unconfirmed = {*channels}
        subscription.send_packed_command(
            subscription.pack_command(b"SUBSCRIBE", *channels), check_health=False
        )
        until = time.monotonic() + PATIENCE
        while self._unconfirmed:
            self._take(subscription.read_response(disable_decoding=True))
            if time.monotonic() > until:
                raise ConnectionError("subscriptions were not confirmed")

    def _load(self, hubs: Iterable[Hub]) -> None:
        """Read what is missing of some channels, new ones among them."""
        rest = iter(hubs)
        while portion := [*islice(rest, PORTION)]:
            names = {channel_of(hub.name, self._server.database): hub for hub in portion}
            new = [name for name, hub in names.items() if self._subscribed.get(name) is not hub]
            self._loading.update(portion)
            self._subscribed |= names
            if new:
                self._subscribe(new)
            self._read(portion)
            self._loading.difference_update(portion)
            self._take_messages()

    def _read(self, hubs: list[Hub]) -> None:
        looks = scripts(look(hub.name, _seen(hub)) for hub in hubs)
        found: list[tuple[Hub, Position]] = []
        for hub, reply in zip(hubs, run_scripts(self._questions, looks), strict=True):
            if isinstance(reply, ResponseError):
                if not str(reply).startswith("WRONGTYPE"):
                    raise reply
                # One key of somebody else's is to cost no other channel anything.
                say_once(f"channel {hub.name!r} is not to be read: {reply}")
                continue
            position = position_from(reply)
            if position is None:
                raise ConnectionError(f"the id {reply!r:.80} is none of streamkit's")
            found.append((hub, position))
        to_read = [(hub, top) for hub, top in found if hub.ring.position != top]
        ranges = [_range(hub, top) for hub, top in to_read]
        if ranges:
            self._questions.send_packed_command(
                self._questions.pack_commands(ranges), check_health=False
            )
        for hub, top in to_read:
            # One by one, as all together they may be large.
            _apply(self._hubs, hub, top, self._questions.read_response(disable_decoding=True))
        for hub, _ in found:
            with lock:
                if hub in self._anterooms and hub.ring.epoch:
                    self._anterooms.pop(hub).give_way(hub.ring)
                wave = hub.threads.take()
            hub.wake(wave)

    # From time to time

    def _do_chores(self, now: float) -> None:
        self._chores_at = now + CHORES_INTERVAL
        with lock:
            self._hubs.sweep(now)
            hubs = {*self._hubs}
            listened_to = [hub for hub in hubs if hub.listeners]
        gone = [name for name, hub in self._subscribed.items() if hub not in hubs]
        for name in gone:
            del self._subscribed[name]
        if gone:
            self._subscription.send_packed_command(
                self._subscription.pack_command(b"UNSUBSCRIBE", *gone), check_health=False
            )
        if now >= self._keep_at:
            self._keep_at = now + KEEP_INTERVAL
            keep = [(b"EXPIRE", key_of(hub.name), b"%d" % KEEP_FOR) for hub in listened_to]
            for start in range(0, len(keep), 1000):
                _checked(exchange(self._questions, keep[start : start + 1000]))

    def _say_away(self, error: Exception) -> None:
        count_reader(is_up=False)
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now - self._said_at >= SAY_INTERVAL:
            self._said_at = now
            say(
                logging.WARNING,
                "channels: Redis is away, or does not do what is asked: %s. Who listens stays, and "
                "gets what it misses when Redis is back, or is told how much that is",
                what_is_wrong(error),
                # What comes from Redis says what is wrong, and what is unexpected where.
                error=None if isinstance(error, RedisError | OSError) else error,
            )


def _seen(hub: Hub) -> Position | None:
    return hub.ring.position if hub.ring.epoch else None


def _checked(replies: list[Any]) -> None:
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise reply


def _frame(hub: Hub, kept: bytes) -> Frame:
    """What was kept of an event; of what cannot be read, that one is missing."""
    frame = frame_from(kept)
    if frame is None:
        say_once(f"channel {hub.name!r}: an event in Redis is none of streamkit's, and is skipped")
        return b'event: %b\ndata: {"missed":1}\n' % GAP.encode(), False
    return frame


def _is_the_same(ring: Ring, position: Position, kept: bytes) -> bool:
    """Whether the event of this position, not after the latest one, is this one as far as known."""
    if position.epoch < ring.epoch:
        return True
    with suppress(KeyError):
        return ring.frame(position.number) == frame_from(kept)
    return position.number < ring.first


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
