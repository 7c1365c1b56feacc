"""The metrics of resumable answers, for Prometheus: in the registry that streams are in."""

from typing import Final

from prometheus_client import Counter, Gauge

from streamkit.collectors import Collectors, Families, registry_in_use
from streamkit.fork import shared_lock
from streamkit.label import OTHER, visible
from streamkit.log import say_once

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

    def __init__(self, families: "_ResumableFamilies", label: str) -> None:
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


class _ResumableFamilies(Families):
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
        self._families = (self.active, self.ended, self.events, self.refused)
        self._names: set[str] = set()

    def resumable(self, name: str) -> _BoundMetrics:
        label = visible(name)
        if label not in self._names:
            if len(self._names) >= MAX_NAMES:
                return _BoundMetrics(self, OTHER)
            self._names.add(label)
        return _BoundMetrics(self, label)


_NO_METRICS: Final = ResumableMetrics()
_collectors: Final = Collectors(_ResumableFamilies)


def resumable_metrics(name: str) -> ResumableMetrics:
    """The metrics of the answers of this name, in the registry that is in use.

    Not counted is what cannot be, as with those of streams.
    """
    registry = registry_in_use()
    if registry is None:
        return _NO_METRICS
    try:
        # Without the lock, as in ``channel_metrics``.
        families = _collectors.of(registry)
        with _lock:
            return families.resumable(name)
    except Exception as error:
        _say(error)
        return _NO_METRICS


def _say(error: Exception) -> None:
    say_once(f"resumable answers are not counted: {error}", error)
