"""The metrics of resumable answers, for Prometheus: in the registry that streams are in."""

from collections.abc import Iterator
from typing import Final
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric

from streamkit import metrics
from streamkit.fork import shared_lock
from streamkit.label import visible
from streamkit.log import say_once
from streamkit.meters import Meters, are_used

__all__ = ["ResumableMetrics", "resumable_metrics"]

MAX_NAMES: Final = 100
"""How many values of its own the label ``resumable`` takes; any further one is ``other``."""

_lock: Final = shared_lock()


class ResumableMetrics:
    """What is counted of the answers of one name. This one tells nobody: metrics are off."""

    __slots__ = ()

    def running(self, answers: int) -> None:
        """So many more are being made by this process, or less if it is negative."""

    def refused(self, elements: int) -> None:
        """So many elements could not be sent."""

    def ended(self, ending: str, events: int) -> None:
        """One that this process has made so many events of has ended."""


class _BoundMetrics(ResumableMetrics):
    """A row of children. Nothing fails of what cannot be counted: a full disk, say, in
    prometheus-client's multiprocess mode.
    """

    __slots__ = ("_families", "_label")

    def __init__(self, families: "_Families", label: str) -> None:
        self._families = families
        self._label = label

    def running(self, answers: int) -> None:
        try:
            self._families.active.labels(self._label).inc(answers)
        except Exception as error:
            _say(error)

    def refused(self, elements: int) -> None:
        try:
            self._families.refused.labels(self._label).inc(elements)
        except Exception as error:
            _say(error)

    def ended(self, ending: str, events: int) -> None:
        try:
            self._families.ended.labels(self._label, ending).inc()
            self._families.events.labels(self._label).inc(events)
        except Exception as error:
            _say(error)


class _Families:
    """All answers in one registry."""

    def __init__(self) -> None:
        labels = ("resumable",)
        self.active = Gauge(
            "resumable_active",
            "Answers whose source is open.",
            labels,
            registry=None,
            multiprocess_mode="livesum",
        )
        self.ended = Counter(
            "resumable_ended_total", "Answers that ended.", (*labels, "ending"), registry=None
        )
        self.events = Counter(
            "resumable_events_total", "Events of answers that ended.", labels, registry=None
        )
        self.refused = Counter(
            "resumable_refused_total", "Elements that cannot be sent.", labels, registry=None
        )
        self._all = (self.active, self.ended, self.events, self.refused)
        self._names: set[str] = set()

    def describe(self) -> Iterator[Metric]:
        """The metrics without their samples, for the registry to know the names."""
        for family in self._all:
            yield from family.describe()

    def collect(self) -> Iterator[Metric]:
        """The metrics, for the registry to expose."""
        for family in self._all:
            yield from family.collect()

    def resumable(self, name: str) -> _BoundMetrics:
        label = visible(name)
        if label not in self._names:
            if len(self._names) >= MAX_NAMES:
                return _BoundMetrics(self, metrics.OTHER)
            self._names.add(label)
        return _BoundMetrics(self, label)


_NO_METRICS: Final = ResumableMetrics()
_families: WeakKeyDictionary[CollectorRegistry, _Families] = WeakKeyDictionary()
_meters: Meters | None = None
"""Of OpenTelemetry, of whatever registry is in use. A process has each instrument once."""


def resumable_metrics(name: str) -> ResumableMetrics:
    """The metrics of the answers of this name, in the registry that is in use.

    Not counted is what cannot be, as with those of streams.
    """
    registry = metrics.registry_in_use()
    if registry is None:
        return _NO_METRICS
    try:
        with _lock:
            families = _families.get(registry)
            if families is None:
                families = _Families()
                # As one collector: a registry takes all of it or, if a name clashes, nothing.
                registry.register(families)
                _families[registry] = families
            global _meters
            if _meters is None and are_used():
                _meters = Meters(families.describe(), _collect_one)
            return families.resumable(name)
    except Exception as error:
        _say(error)
        return _NO_METRICS


def _collect_one(name: str) -> Iterator[Metric]:
    registry = metrics.registry_in_use()
    families = None if registry is None else _families.get(registry)
    if families is not None:
        yield from (family for family in families.collect() if family.name == name)


def _say(error: Exception) -> None:
    say_once(f"resumable answers are not counted: {error}", error)
