"""One channel within this process: its history, and who listens to it."""

import asyncio
import time

from prometheus_client import CollectorRegistry

from streamkit.channels.audience import LoopAudience, ThreadAudience, Wave
from streamkit.channels.metrics import ChannelMetrics, channel_metrics
from streamkit.channels.ring import Ring
from streamkit.metrics import registry_in_use

__all__ = ["Hub"]


class Hub:
    """What all who listen to a channel in this process share.

    One thread at a time calls its methods, but for ``wake`` and ``metrics``.
    """

    __slots__ = (
        "_loops",
        "_metrics",
        "_registry",
        "is_held",
        "listeners",
        "name",
        "ring",
        "threads",
        "used_at",
        "weighed",
    )

    def __init__(self, name: str, ring: Ring) -> None:
        self.name = name
        self.ring = ring
        self.threads = ThreadAudience()
        self.listeners = 0
        """How many there are, on any thread or loop."""
        self.used_at = time.monotonic()
        """When somebody last published, or began or ceased to listen."""
        self.is_held = True
        """Whether it was not let go of so far."""
        self.weighed = 0
        """What of its history's weight is counted in that of all channels."""
        self._loops: dict[asyncio.AbstractEventLoop, LoopAudience] = {}
        self._registry: CollectorRegistry | None = None
        self._metrics = channel_metrics(name, None)

    @property
    def metrics(self) -> ChannelMetrics:
        """Where it is counted now. Any thread may ask."""
        registry = registry_in_use()
        if registry is not self._registry:
            self._metrics, self._registry = channel_metrics(self.name, registry), registry
        return self._metrics

    def join(self, loop: asyncio.AbstractEventLoop) -> LoopAudience:
        """One more listens on ``loop``."""
        audience = self._loops.get(loop)
        if audience is None:
            audience = self._loops[loop] = LoopAudience(loop)
        audience.members += 1
        return audience

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """One of those on ``loop`` does no longer."""
        audience = self._loops[loop]
        audience.members -= 1
        if not audience.members:
            del self._loops[loop]

    def wake(self, wave: Wave) -> None:
        """Have all woken who wait: the threads of ``wave``, and on each loop those that are there.

        On any thread.
        """
        if wave:
            wave.go_on()
        if self._loops:
            for audience in tuple(self._loops.values()):
                audience.notify()
