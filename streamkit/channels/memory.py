"""The channels of one process, in its memory."""

import secrets
import time
from asyncio import AbstractEventLoop
from collections import OrderedDict
from typing import Final

from streamkit.channels.audience import Audience
from streamkit.channels.frame import Frame
from streamkit.channels.hub import Hub
from streamkit.channels.position import Position
from streamkit.channels.ring import MIN_EVENTS
from streamkit.fork import shared_lock

__all__ = ["Memory"]

MAX_IDLE: Final = 3 * 3600.0
"""Seconds that a channel is kept that nobody listens to, after the last event as well.

More than two ages of a stream (``streamkit.kind.SSE``): whoever comes back after an hour, to a page
that was asleep for another, still finds the history that it knows.
"""

MAX_BYTES: Final = 64 * 1024 * 1024
"""What all channels of a process take together: sixteen of the largest, or a million events."""

SWEEP_INTERVAL: Final = 60.0
"""Seconds between two looks for channels to let go of. Nothing waits for them: it is done by who
comes to a channel then."""

EPOCH_UNITS: Final = 1_000_000
"""Epochs are milliseconds times so much, and a number of the process's own: two processes that
begin a history in the same millisecond do not give the same ids."""

# One for all channels, held for a few microseconds. A fork waits for it.
_lock: Final = shared_lock()


class Memory:
    """Histories that are of this process alone, and end with it. Any thread may call it."""

    def __init__(self) -> None:
        self._hubs: dict[str, Hub] = {}
        # Those that nobody listens to, the one for longest first.
        self._idle: OrderedDict[str, Hub] = OrderedDict()
        self._weight = 0
        self._own = secrets.randbelow(EPOCH_UNITS)
        self._last_epoch = 0
        self._sweeps_at = time.monotonic() + SWEEP_INTERVAL

    def publish(self, name: str, frame: Frame) -> str:
        """Keep an event, and have those woken who wait for it; return its id."""
        with _lock:
            hub = self._hub(name)
            ring = hub.ring
            before = ring.weight
            event_id = ring.append(frame)
            self._weight += ring.weight - before
            if self._weight > MAX_BYTES:
                self._make_room(hub)
            wave = hub.threads.take()
            hub.metrics.published()
        hub.wake(wave)
        return event_id

    def position(self, name: str) -> Position:
        """Behind the latest event. The first look begins the history."""
        with _lock:
            return self._hub(name).ring.position

    def listen(self, name: str, loop: AbstractEventLoop | None) -> tuple[Hub, Audience]:
        """The channel for one more listener, on ``loop`` or a thread, and where that is to wait.

        ``release`` follows, once.
        """
        with _lock:
            hub = self._hub(name)
            hub.listeners += 1
            self._idle.pop(name, None)
            return hub, hub.threads if loop is None else hub.join(loop)

    def release(self, hub: Hub, loop: AbstractEventLoop | None) -> None:
        """It has one listener less. Any thread may say so."""
        with _lock:
            hub.listeners -= 1
            hub.used_at = time.monotonic()
            if loop is not None:
                hub.leave(loop)
            if not hub.listeners:
                self._idle[hub.name] = hub

    def _hub(self, name: str) -> Hub:
        now = time.monotonic()
        if now >= self._sweeps_at:
            self._sweeps_at = now + SWEEP_INTERVAL
            for idle in [*self._idle.values()]:
                if idle.used_at < now - MAX_IDLE:
                    self._let_go(idle)
        hub = self._hubs.get(name)
        if hub is None:
            self._last_epoch = max(time.time_ns() // 1_000_000, self._last_epoch + 1)
            epoch = self._last_epoch * EPOCH_UNITS + self._own
            hub = self._hubs[name] = self._idle[name] = Hub(name, epoch)
            self._weight += hub.ring.weight
            if self._weight > MAX_BYTES:
                self._make_room(hub)
        hub.used_at = now
        return hub

    def _let_go(self, hub: Hub) -> None:
        del self._hubs[hub.name], self._idle[hub.name]
        self._weight -= hub.ring.weight

    def _make_room(self, grown: Hub) -> None:
        """Let go of what nobody listens to, and then of the oldest events of who has ``grown``."""
        while self._weight > MAX_BYTES and self._idle:
            hub = next(iter(self._idle.values()))
            if hub is grown:
                if len(self._idle) == 1:
                    break
                self._idle.move_to_end(hub.name)
                continue
            self._let_go(hub)
        ring = grown.ring
        while self._weight > MAX_BYTES and ring.head - ring.first >= MIN_EVENTS:
            before = ring.weight
            ring.drop_oldest()
            self._weight += ring.weight - before
