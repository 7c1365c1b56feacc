"""The channels of one process, in its memory."""

import secrets
import time
from asyncio import AbstractEventLoop
from collections.abc import Sequence
from typing import Final

from streamkit.channels.audience import Audience
from streamkit.channels.frame import Frame
from streamkit.channels.hub import Hub
from streamkit.channels.hubs import Hubs, lock
from streamkit.channels.position import Position
from streamkit.channels.ring import Ring

__all__ = ["MAX_IDLE", "Memory"]

MAX_IDLE: Final = 3 * 3600.0
"""Seconds that a channel is kept that nobody listens to, after the last event as well.

More than two ages of a stream (``streamkit.kind.SSE``): whoever comes back after an hour, to a page
that was asleep for another, still finds the history that it knows.
"""

EPOCH_UNITS: Final = 1_000_000
"""Epochs are milliseconds times so much, and a number of the process's own: two processes that
begin a history in the same millisecond do not give the same ids."""


class Memory:
    """Histories that are of this process alone, and end with it. Any thread may call it.

    It waits for nothing, so that what is to be awaited is the same as what is not.
    """

    def __init__(self) -> None:
        self._hubs = Hubs(MAX_IDLE)
        self._own = secrets.randbelow(EPOCH_UNITS)
        self._last_epoch = 0

    def publish(self, name: str, frame: Frame) -> str:
        """Keep an event, and have those woken who wait for it; return its id."""
        with lock:
            hub = self._hubs.found(name) or self._begun(name)
            event_id = self._hubs.append(hub, frame)
            hub.metrics.published()
            if not hub.listeners:
                return event_id
            wave = hub.take()
        hub.wake(wave)
        return event_id

    async def apublish(self, name: str, frame: Frame) -> str:
        """The same on an event loop."""
        return self.publish(name, frame)

    def positions(self, names: Sequence[str]) -> list[Position]:
        """Behind the latest event of each. The first look begins the history."""
        with lock:
            hubs = [self._hubs.found(name) or self._begun(name) for name in names]
            return [hub.ring.position for hub in hubs]

    async def apositions(self, names: Sequence[str]) -> list[Position]:
        """The same on an event loop."""
        return self.positions(names)

    def listen(
        self, name: str, after: Position | None, loop: AbstractEventLoop | None
    ) -> tuple[Hub, Ring, Audience]:
        """The channel for one more listener, on ``loop`` or a thread, which comes with ``after``.

        And the history that it is to read, and where it is to wait. ``release`` follows, once.
        """
        with lock:
            hub = self._hubs.found(name) or self._begun(name)
            return hub, hub.ring, self._hubs.joined(hub, loop)

    def release(self, hub: Hub, loop: AbstractEventLoop | None) -> None:
        """It has one listener less. Any thread may say so."""
        with lock:
            self._hubs.leave(hub, loop)

    def close(self) -> None:
        """Who listens goes on, and hears of nothing more."""

    def after_fork(self) -> "Memory":
        """Another one: no event of a child is one of its parent's."""
        return Memory()

    def _begun(self, name: str) -> Hub:
        """The channel that was not here, with a history that begins now."""
        now = time.time_ns() // 1_000_000
        # Without a call, in which a signal's handler might be given the same.
        epoch = self._last_epoch = now if now > self._last_epoch else self._last_epoch + 1
        return self._hubs.added(name, Ring(epoch * EPOCH_UNITS + self._own))
