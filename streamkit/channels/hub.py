"""One channel within this process: its history, and who listens to it."""

import time

from prometheus_client import CollectorRegistry

from streamkit.channels.gathering import Gathering
from streamkit.channels.metrics import ChannelMetrics, channel_metrics
from streamkit.channels.ring import Ring
from streamkit.collectors import registry_in_use

__all__ = ["Hub"]


class Hub(Gathering):
    """What all who listen to a channel in this process share.

    One thread at a time calls its methods, but for ``wake`` and ``metrics``.
    """

    __slots__ = (
        "_metrics",
        "_registry",
        "is_held",
        "name",
        "ring",
        "used_at",
        "weighed",
    )

    def __init__(self, name: str, ring: Ring) -> None:
        super().__init__()
        self.name = name
        self.ring = ring
        self.used_at = time.monotonic()
        """When somebody last published, or began or ceased to listen."""
        self.is_held = True
        """Whether it was not let go of so far."""
        self.weighed = 0
        """What of its history's weight is counted in that of all channels."""
        self._registry: CollectorRegistry | None = None
        self._metrics = channel_metrics(name, None)

    @property
    def metrics(self) -> ChannelMetrics:
        """Where it is counted now. Any thread may ask."""
        registry = registry_in_use()
        if registry is not self._registry:
            self._metrics, self._registry = channel_metrics(self.name, registry), registry
        return self._metrics
