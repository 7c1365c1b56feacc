"""The metrics of channels, for Prometheus: in the registry that those of streams are in."""

import os
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.metrics import MetricWrapperBase

from streamkit.collectors import Collectors, Families, registry_in_use
from streamkit.fork import shared_lock
from streamkit.label import OTHER, visible
from streamkit.log import say_once

__all__ = ["ChannelMetrics", "channel_metrics", "count_reader"]

MAX_CHANNELS: Final = 100
"""How many values of its own the label ``channel`` takes; any further one is ``other``. As many as
the label ``stream`` does: where there is a channel for each user, none of them is of interest."""

READER_UP: Final = Metric(
    "channel_reader_up", "Whether this process hears of the events of other processes.", "gauge"
)
"""Without its samples, as what describes the others gives them."""

_lock: Final = shared_lock()


class ChannelMetrics:
    """What is counted of a channel. This one tells nobody: metrics are off."""

    __slots__ = ()

    def published(self) -> None:
        """This process has published an event. One thread at a time says so."""

    def subscribed(self, subscribers: int) -> None:
        """So many more listen in this process, or less if it is negative."""

    def gap(self) -> None:
        """A subscriber was told that it has missed something."""


class _BoundMetrics(ChannelMetrics):
    """A row of figures, one a metric, which are told when a scrape asks for them.

    Not before, as the metrics have locks: a handler of a signal's that publishes may interrupt who
    holds one. In prometheus-client's multiprocess mode nobody asks this process, and they are told
    at once. Nothing fails of what cannot be counted: a full disk, say.
    """

    __slots__ = (
        "_events",
        "_families",
        "_gaps",
        "_is_collected",
        "_label",
        "_subscribers",
        "_told",
    )

    def __init__(self, families: "_ChannelFamilies", label: str) -> None:
        self._families = families
        self._label = label
        self._is_collected = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
        self._events = self._gaps = self._subscribers = 0
        self._told = (0, 0, 0)

    def published(self) -> None:
        self._events += 1
        if not self._is_collected:
            self._tell()

    def subscribed(self, subscribers: int) -> None:
        with _lock:
            self._subscribers += subscribers
        if not self._is_collected:
            self._tell()

    def gap(self) -> None:
        with _lock:
            self._gaps += 1
        if not self._is_collected:
            self._tell()

    def _tell(self) -> None:
        try:
            with _lock:
                self.collect()
        except Exception as error:
            _say(error)

    def collect(self) -> None:
        """Tell the metrics of what there was since the last time. One thread at a time does."""
        families, label = self._families, self._label
        events, gaps, subscribers = self._told
        self._told = told = (self._events, self._gaps, self._subscribers)
        families.published.labels(label).inc(told[0] - events)
        families.gaps.labels(label).inc(told[1] - gaps)
        families.subscribers.labels(label).inc(told[2] - subscribers)


class _ChannelFamilies(Families):
    """All channels in one registry."""

    def __init__(self) -> None:
        self.published = Counter(
            "channel_published_total", "Events published.", ("channel",), registry=None
        )
        self.subscribers = Gauge(
            "channel_subscribers",
            "Subscribers that listen.",
            ("channel",),
            registry=None,
            multiprocess_mode="livesum",
        )
        self.gaps = Counter(
            "channel_gaps_total",
            "Times that a subscriber was told of missed events.",
            ("channel",),
            registry=None,
        )
        self._families = (self.published, self.subscribers, self.gaps)
        # Not before there is a reader: it would say that nothing is heard of channels in memory.
        self._reader_up: Gauge | None = None
        self._bound: dict[str, _BoundMetrics] = {}

    def _exposed(self) -> Iterator[MetricWrapperBase]:
        with _lock:
            for bound in [*self._bound.values()]:
                bound.collect()
        yield from self._families
        if self._reader_up is not None:
            yield self._reader_up

    def reader(self, is_up: bool) -> None:
        if self._reader_up is None:
            self._reader_up = Gauge(
                READER_UP.name,
                READER_UP.documentation,
                registry=None,
                multiprocess_mode="livemin",
            )
        self._reader_up.set(is_up)

    def channel(self, name: str) -> _BoundMetrics:
        label = visible(name)
        if label not in self._bound and len(self._bound) >= MAX_CHANNELS:
            label = OTHER
        found = self._bound.get(label)
        if found is None:
            # Or what has come there meanwhile: a handler of a signal's may publish.
            found = self._bound.setdefault(label, _BoundMetrics(self, label))
        return found


_NO_METRICS: Final = ChannelMetrics()
_collectors: Final = Collectors(_ChannelFamilies, READER_UP)


def count_reader(*, is_up: bool) -> None:
    """This process hears of the events of other processes, or does no longer."""
    try:
        registry = registry_in_use()
        if registry is not None:
            _collectors.of(registry).reader(is_up)
    except Exception as error:
        _say(error)


def channel_metrics(name: str, registry: CollectorRegistry | None) -> ChannelMetrics:
    """The metrics of the channel of this name in ``registry``: one object for all who share them.

    Not counted is what cannot be, as with those of streams.
    """
    if registry is None:
        return _NO_METRICS
    try:
        # Without the lock: OpenTelemetry has one that it holds as it asks for figures, which takes
        # ours, and that it needs for what is told of them here.
        families = _collectors.of(registry)
        with _lock:
            return families.channel(name)
    except Exception as error:
        _say(error)
        return _NO_METRICS


def _say(error: Exception) -> None:
    say_once(f"channels are not counted: {error}", error)
