"""The metrics of one part of the kit, as a collector of a Prometheus registry."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase

from streamkit.fork import shared_lock
from streamkit.log import say_once
from streamkit.meters import Meters, are_used
from streamkit.once import Once

__all__ = ["Collectors", "Families", "registry_in_use", "use_registry"]

# A fork holds it, so that no child begins life with a collector half made.
_lock = shared_lock()

_registry: CollectorRegistry | None = REGISTRY


def use_registry(registry: CollectorRegistry | None) -> None:
    """Count in ``registry`` from now on, or not at all if it is None."""
    global _registry
    _registry = registry


def registry_in_use() -> CollectorRegistry | None:
    """The registry that is counted in; None if metrics are off."""
    return _registry


class Families:
    """Metrics that belong together: a registry takes all of them or, if a name clashes, none."""

    _families: tuple[MetricWrapperBase, ...]

    def describe(self) -> Iterator[Metric]:
        """The metrics without their samples, for the registry to know the names."""
        for family in self._families:
            yield from family.describe()

    def _exposed(self) -> Iterator[MetricWrapperBase]:
        """Those that have something to say by now, with the figures that they have by now."""
        yield from self._families

    def collect(self) -> Iterator[Metric]:
        """The metrics, for the registry to expose."""
        for family in self._exposed():
            yield from family.collect()

    def collect_one(self, name: str) -> Iterator[Metric]:
        """The metric of this name, as ``collect`` gives it; nothing of one that is not exposed."""
        for family in self._exposed():
            yield from (metric for metric in family.collect() if metric.name == name)


F = TypeVar("F", bound=Families)


class Collectors(Generic[F]):
    """The families of one part of the kit, once for each registry that is counted in.

    Where the application has set up OpenTelemetry's meters, they are told of the figures in
    whatever registry is in use: a process has each of their instruments once.
    """

    def __init__(
        self,
        make: Callable[[], F],
        *beside: Metric,
        buckets: Mapping[str, Sequence[float]] = {},
    ) -> None:
        """``beside`` are metrics that the families do not describe, ``buckets`` the histograms'."""
        self._make = make
        self._beside = beside
        self._buckets = buckets
        self._made: WeakKeyDictionary[CollectorRegistry, F] = WeakKeyDictionary()
        self.meters: Meters | None = None
        self._is_to_meter = Once()

    def of(self, registry: CollectorRegistry) -> F:
        """Those in ``registry``, made when they are asked for first.

        Raises ValueError if a metric of somebody else's has one of their names, and what
        prometheus-client raises where it cannot write its files.
        """
        with _lock:
            found = self._made.get(registry)
            if found is None:
                found = self._register(registry)
        # No other thread waits for it, and no fork: a reader of OpenTelemetry's asks for figures
        # under a lock of its own, which this needs as well.
        if self.meters is None and are_used() and self._is_to_meter():
            try:
                described = (*found.describe(), *self._beside)
                self.meters = Meters(described, self._collect_one, self._buckets)
            except Exception as error:
                say_once(f"OpenTelemetry is not told of figures: {error}", error)
        return found

    def in_use(self) -> F | None:
        """Those in the registry in use, if there is one and they were made."""
        registry = registry_in_use()
        return None if registry is None else self._made.get(registry)

    def __iter__(self) -> Iterator[F]:
        yield from [*self._made.values()]

    def _register(self, registry: CollectorRegistry) -> F:
        new = self._make()
        found = self._made.setdefault(registry, new)
        # Else a handler of a signal's has published, and made them, in the middle of this.
        if found is new:
            try:
                registry.register(new)
            except BaseException:
                del self._made[registry]
                raise
        return found

    def _collect_one(self, name: str) -> Iterator[Any]:
        found = self.in_use()
        if found is not None:
            yield from found.collect_one(name)
