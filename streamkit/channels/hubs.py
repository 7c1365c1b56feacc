"""All channels that a process holds: what they take of its memory, and when it lets go of them."""

import time
from asyncio import AbstractEventLoop
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from streamkit.channels.audience import Audience
from streamkit.channels.frame import Frame
from streamkit.channels.hub import Hub
from streamkit.channels.ring import MIN_EVENTS, Ring
from streamkit.fork import shared_lock

__all__ = ["MAX_BYTES", "SWEEP_INTERVAL", "Hubs", "lock"]

MAX_BYTES: Final = 64 * 1024 * 1024
"""What all channels of a process take together: sixteen of the largest, or 250,000 small events.

Beyond that there is only the latest event of each channel that somebody listens to, so that those
who are there get it.
"""

SWEEP_INTERVAL: Final = 60.0
"""Seconds between two looks for channels to let go of. Nothing waits for them: it is done by who
comes to a channel then."""

lock: Final = shared_lock()
"""Held by who calls a method of ``Hubs``, for a few microseconds. One for all; a fork waits for it.
"""


class Hubs:
    """Channels by their names. All of it but ``peek`` is called with the ``lock`` held.

    A handler of a signal, or a finalizer, may do so in the middle of another call of its thread:
    see ``Ring``.
    """

    def __init__(self, max_idle: float) -> None:
        """``max_idle`` is the seconds that a channel is kept without listeners and events."""
        self._max_idle = max_idle
        self._hubs: dict[str, Hub] = {}
        # Those that nobody listens to, the one for longest first.
        self._idle: OrderedDict[str, Hub] = OrderedDict()
        # Those that have more than their latest event, in the order in which they are to lose one.
        self._long: OrderedDict[Hub, None] = OrderedDict()
        self._weight = 0
        self._makes_room = False
        self._sweeps_at = time.monotonic() + SWEEP_INTERVAL

    def __iter__(self) -> Iterator[Hub]:
        return iter(self._hubs.values())

    def __len__(self) -> int:
        return len(self._hubs)

    def peek(self, name: str) -> Hub | None:
        """The channel of this name, if it is here. Any thread may ask."""
        return self._hubs.get(name)

    def found(self, name: str) -> Hub | None:
        """The channel of this name, which is used now, if it is here."""
        now = time.monotonic()
        if now >= self._sweeps_at:
            self.sweep(now)
        hub = self._hubs.get(name)
        if hub is not None:
            hub.used_at = now
        return hub

    def added(self, name: str, ring: Ring) -> Hub:
        """A channel that was not here, with its history, or what has come there meanwhile."""
        hub = Hub(name, ring)
        if name in self._hubs:
            return self._hubs[name]
        self._hubs[name] = self._idle[name] = hub
        self._weigh(hub)
        return hub

    def joined(self, hub: Hub, loop: AbstractEventLoop | None) -> Audience:
        """Where one more listener, on ``loop`` or a thread, is to wait. ``leave`` follows, once."""
        hub.listeners += 1
        self._idle.pop(hub.name, None)
        return hub.audience(loop)

    def leave(self, hub: Hub, loop: AbstractEventLoop | None) -> None:
        """It has one listener less."""
        hub.listeners -= 1
        hub.used_at = time.monotonic()
        if loop is not None:
            hub.leave(loop)
        if not hub.listeners:
            self._idle[hub.name] = hub

    def append(self, hub: Hub, frame: Frame) -> str:
        """Keep an event of the channel, and return its id."""
        event_id = hub.ring.append(frame)
        self._weigh(hub)
        return event_id

    def skip_to(self, hub: Hub, head: int) -> None:
        """Go on behind this number: what is before it is not to be had."""
        hub.ring.skip_to(head)
        self._weigh(hub)

    def replace(self, hub: Hub, ring: Ring) -> None:
        """Begin another history of the channel, without events so far."""
        hub.ring = ring
        self._weigh(hub)

    def sweep(self, now: float) -> None:
        """Let go of what nobody has used for long."""
        self._sweeps_at = now + SWEEP_INTERVAL
        for idle in [*self._idle.values()]:
            if idle.used_at < now - self._max_idle and idle.name in self._idle:
                del self._idle[idle.name]
                self._forget(idle)

    def _forget(self, hub: Hub) -> None:
        if hub.is_held and not hub.listeners:
            hub.is_held = False
            self._weight -= hub.weighed
            del self._hubs[hub.name]
            self._long.pop(hub, None)

    def _weigh(self, hub: Hub) -> None:
        """Count what its history takes by now, and make room if all take too much."""
        ring = hub.ring
        # It may have been let go of while somebody else still wrote to it.
        if hub.is_held:
            self._weight += ring.weight - hub.weighed
            hub.weighed = ring.weight
            if ring.head > ring.first:
                self._long[hub] = None
        if self._weight > MAX_BYTES and not self._makes_room:
            # Whoever does so already goes on until there is room for this as well.
            self._makes_room = True
            try:
                self._make_room(hub)
            finally:
                self._makes_room = False

    def _make_room(self, grown: Hub) -> None:
        """Let go of what nobody listens to, then of the oldest events: first of who has ``grown``,
        down to as many as any history may have, and then of each in turn, down to its latest one.
        """
        while self._weight > MAX_BYTES and self._idle:
            name, hub = self._idle.popitem(last=False)
            if hub is not grown:
                self._forget(hub)
                continue
            is_last = not self._idle
            self._idle[name] = hub
            if is_last:
                break
        ring = grown.ring
        while self._weight > MAX_BYTES and ring.head - ring.first >= MIN_EVENTS:
            ring.drop_oldest()
            self._weigh(grown)
        while self._weight > MAX_BYTES and self._long:
            hub, _ = self._long.popitem(last=False)
            if hub.ring.head > hub.ring.first:
                hub.ring.drop_oldest()
                self._weigh(hub)
