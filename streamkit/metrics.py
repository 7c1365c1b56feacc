"""The metrics of streams, for Prometheus.

On from the first stream, in prometheus-client's default registry. One call, best made before the
first stream, names another registry or turns metrics off::

    streamkit.metrics.use(registry)
    streamkit.metrics.use(None)

A stream that is open at such a call goes on counting where it began. In multiprocess mode
prometheus-client keeps one set of values a process, whatever the registry: use one registry there.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, Literal, Protocol, final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector

from streamkit.collectors import Collectors, Families, registry_in_use, use_registry
from streamkit.fork import call_in_child, shared_lock
from streamkit.label import OTHER, visible
from streamkit.log import say_once
from streamkit.updates import Updates

__all__ = [
    "MetricsService",
    "Outcome",
    "StreamMetrics",
    "expose",
    "stream_metrics",
    "use",
]

Outcome = Literal["completed", "disconnected", "retired", "failed"]
"""How a stream ended: with its source; as its client left; as it was old, or its process ended; by
an error."""


class Reporter(Protocol):
    """A stream that is open."""

    def report(self) -> bool:
        """Add to the metrics what it has done since the last time: it does not with each chunk.

        True if more may be done of which no ``tell`` tells.
        """
        ...


LABELS: Final = ("kind", "stream", "tenant")

MAX_STREAM_NAMES: Final = 100
"""How many values of its own the label ``stream`` takes; any further one is ``other``."""

MAX_COMBINATIONS: Final = 200
"""How many combinations of labels there are, beside those whose tenant is ``other``.

Each is 54 lines of a scrape. To expose 200 of them took half a second of a busy machine; 30,000
lines took it one, and 30,000 combinations 13.
"""

# From a stream that fails at once to one that lasts a working day, by way of the timeouts at which
# proxies cut connections.
DURATION_BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 28800)

FIRST_BYTE_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# A fork holds it, so that no child begins life with a stream half made.
_lock = shared_lock()


class StreamMetrics:
    """What a pipeline reports of a stream. This one tells nobody: metrics are off.

    Not to be called from a finaliser: prometheus-client's locks are not reentrant.
    """

    __slots__ = ()

    tell: Callable[[], object] | None = None
    """To be called with each change of a report, if it is not None."""

    def opened(self) -> None:
        """The stream began. ``closed`` follows, once."""

    def watch(self, reporter: Reporter) -> None:
        """Have it report whenever the figures are to be as they are by then."""

    def unwatch(self, reporter: Reporter) -> None:
        """It reports for a last time, now."""
        reporter.report()

    def added(self, elements: int, dropped: int) -> None:
        """Since the last call the source gave ``elements``, and ``dropped`` of them were lost."""

    def sent(self, size: int) -> None:
        """``size`` bytes went to the server."""

    def refused(self, elements: int) -> None:
        """The format could not carry that many elements."""

    def rejected(self) -> None:
        """The stream was not let in, in place of ``opened``."""

    def limited(self, max_streams: int) -> None:
        """So many streams may be open at a time where this one was asked for."""

    def first_byte(self, seconds: float) -> None:
        """The first element went out that long after ``opened``."""

    def closed(self, outcome: Outcome, seconds: float) -> None:
        """The stream ended that long after ``opened``."""


@final
class MetricsService(Families):
    """The metrics of all streams in one registry, which collects them from here.

    There is one service a registry: ``MetricsService(registry) is MetricsService(registry)``.

    Label values are stripped of what cannot be seen (control, format, surrogate and unassigned
    characters, line separators, variation selectors, fillers), NFKC-normalised and cut at 120
    characters; one of which nothing is left is ``unknown``.

    No input adds series without end. The label ``stream`` takes the first 100 values that it meets,
    and all others are ``other``. Of 200 combinations of labels the one that had no stream open for
    longest makes room for a new one, and its series are gone; where all have streams open, or in
    multiprocess mode, which cannot remove a series, a new tenant is ``other``.

    Raises TypeError if ``registry`` is no ``prometheus_client.CollectorRegistry``, and ValueError
    if a metric of somebody else's in it has one of these names.
    """

    def __new__(cls, registry: CollectorRegistry) -> "MetricsService":
        _check_registry(registry)
        return _collectors.of(registry)

    @classmethod
    def _new(cls) -> "MetricsService":
        service = super().__new__(cls)
        service._create()
        return service

    def _create(self) -> None:
        def counter(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(name, documentation, (*LABELS, *labels), registry=None)

        def histogram(name: str, documentation: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, documentation, LABELS, registry=None, buckets=buckets)

        self.elements = counter("stream_elements_total", "Elements that sources gave.")
        self.bytes = counter("stream_bytes_total", "Bytes sent.")
        self.dropped = counter("stream_dropped_total", "Elements dropped for slow clients.")
        self.refused = counter("stream_refused_total", "Elements that a format cannot carry.")
        self.rejected = counter("stream_rejected_total", "Streams that were not let in.")
        self.closed = counter("stream_closed_total", "Streams that ended.", "outcome")
        self.active = Gauge(
            "stream_active",
            "Streams that are open.",
            LABELS,
            registry=None,
            multiprocess_mode="livesum",
        )
        self.duration = histogram(
            "stream_duration_seconds", "From the start of a stream to its end.", DURATION_BUCKETS
        )
        self.first_byte = histogram(
            "stream_first_byte_seconds",
            "From the start of a stream to its first element.",
            FIRST_BYTE_BUCKETS,
        )
        self.max_active = Gauge(
            "stream_max_active",
            "Streams that may be open at a time (max_streams), if there is a limit.",
            registry=None,
            multiprocess_mode="livesum",
        )
        self._families = (
            self.elements,
            self.bytes,
            self.dropped,
            self.refused,
            self.rejected,
            self.closed,
            self.active,
            self.duration,
            self.first_byte,
            self.max_active,
        )
        self._is_limited = False
        # Another process reads its figures from a file there, whenever it likes.
        self.updates = Updates(self.update) if _is_multiprocess() else None
        self._reporters: set[Reporter] = set()
        self._names: set[str] = set()
        # The least recently used first.
        self._streams: OrderedDict[tuple[str, ...], _BoundMetrics] = OrderedDict()

    def _exposed(self) -> Iterator[MetricWrapperBase]:
        self.update()
        for family in self._families:
            if self._is_limited or family is not self.max_active:
                yield family

    def update(self) -> bool:
        """Have all streams that are open report what they have done until now.

        True if one of them may do more that it does not tell of.
        """
        goes_on = False
        for reporter in self._reporters.copy():
            with _lock:
                # It may be over by now, and has reported then.
                if reporter in self._reporters:
                    goes_on |= reporter.report()
        return goes_on

    def watch(self, reporter: Reporter) -> None:
        with _lock:
            self._reporters.add(reporter)

    def unwatch(self, reporter: Reporter) -> None:
        with _lock:
            self._reporters.discard(reporter)
            reporter.report()

    def forget(self) -> None:
        """This is a child of a fork, which has no streams yet."""
        self._reporters.clear()
        if self.updates is not None:
            self.updates.forget()

    def limit(self, max_streams: int) -> None:
        """So many streams may be open at a time in this process."""
        self.max_active.set(max_streams)
        self._is_limited = True

    def stream(self, kind: str, name: str, tenant: str) -> StreamMetrics:
        """The metrics with these labels: one object for all the streams that share them."""
        with _lock:
            # Most values are as they can be seen, and most streams are not the first of theirs.
            found = self._streams.get((kind, name, tenant))
            if found is None:
                labels = (kind, self._admit_name(visible(name)), visible(tenant))
                found = self._streams.get(labels) or self._make(labels)
            self._use(found)
            return found

    def _make(self, labels: tuple[str, str, str]) -> "_BoundMetrics":
        if len(self._streams) >= MAX_COMBINATIONS and not self._make_room():
            labels = (*labels[:2], OTHER)
        return self._streams.get(labels) or _BoundMetrics(self, labels)

    def _admit_name(self, name: str) -> str:
        if name not in self._names:
            if len(self._names) >= MAX_STREAM_NAMES:
                return OTHER
            self._names.add(name)
        return name

    def _use(self, stream: "_BoundMetrics") -> None:
        """It is the most recently used one, and among those that are exposed."""
        self._streams[stream.labels] = stream
        self._streams.move_to_end(stream.labels)

    def _make_room(self) -> bool:
        """Leave out the one of which no stream was open for longest, if there is one."""
        if _is_multiprocess():
            return False
        idle = next((each for each in self._streams.values() if not each.open), None)
        if idle is None:
            return False
        del self._streams[idle.labels]
        for family in self._families:
            if family is self.closed:
                for outcome in get_args(Outcome):
                    family.remove(*idle.labels, outcome)
            elif family is not self.max_active:
                family.remove(*idle.labels)
        return True


class _BoundMetrics(StreamMetrics):
    """A row of children, one a metric: looking one up costs more than adding to it."""

    __slots__ = (
        "_active",
        "_bytes",
        "_closed",
        "_dropped",
        "_duration",
        "_elements",
        "_first_byte",
        "_refused",
        "_rejected",
        "_service",
        "labels",
        "open",
        "tell",
    )

    def __init__(self, service: MetricsService, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.open = 0
        """How many streams are, so that they are not left out meanwhile."""
        self._service = service
        self.tell = None if service.updates is None else service.updates.tell
        self._bind()

    def _bind(self) -> None:
        service, labels = self._service, self.labels
        self._elements = service.elements.labels(*labels)
        self._bytes = service.bytes.labels(*labels)
        self._dropped = service.dropped.labels(*labels)
        self._refused = service.refused.labels(*labels)
        self._rejected = service.rejected.labels(*labels)
        self._closed = {
            outcome: service.closed.labels(*labels, outcome) for outcome in get_args(Outcome)
        }
        self._active = service.active.labels(*labels)
        self._duration = service.duration.labels(*labels)
        self._first_byte = service.first_byte.labels(*labels)

    def _hold(self, streams: int) -> None:
        """Count so many streams more that are open.

        Since it was looked up, which may be long ago, it may have been left out.
        """
        with _lock:
            self.open += streams
            if self._service._streams.get(self.labels) is not self:
                self._service._make_room()
                self._bind()
            self._service._use(self)

    def opened(self) -> None:
        self._hold(1)
        self._active.inc()

    def watch(self, reporter: Reporter) -> None:
        self._service.watch(reporter)

    def unwatch(self, reporter: Reporter) -> None:
        self._service.unwatch(reporter)

    def added(self, elements: int, dropped: int) -> None:
        self._elements.inc(elements)
        if dropped:
            self._dropped.inc(dropped)

    def sent(self, size: int) -> None:
        self._bytes.inc(size)

    def refused(self, elements: int) -> None:
        self._refused.inc(elements)

    def rejected(self) -> None:
        self._hold(0)
        self._rejected.inc()

    def limited(self, max_streams: int) -> None:
        self._service.limit(max_streams)

    def first_byte(self, seconds: float) -> None:
        self._first_byte.observe(seconds)
        self._record("stream_first_byte_seconds", seconds)

    def closed(self, outcome: Outcome, seconds: float) -> None:
        self._active.dec()
        self._closed[outcome].inc()
        self._duration.observe(seconds)
        self._hold(-1)
        self._record("stream_duration_seconds", seconds)

    def _record(self, name: str, seconds: float) -> None:
        meters = _collectors.meters
        if meters is not None and self._service is _collectors.in_use():
            meters.record(name, seconds, dict(zip(LABELS, self.labels, strict=True)))


def _is_multiprocess() -> bool:
    """Whether prometheus-client keeps the values in files, which any of several processes reads."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def _check_registry(value: object) -> None:
    if not isinstance(value, CollectorRegistry):
        expected = "a prometheus_client.CollectorRegistry"
        raise TypeError(f"registry must be {expected}, got {type(value).__name__}")


_collectors: Final = Collectors(
    MetricsService._new,
    buckets={
        "stream_duration_seconds": DURATION_BUCKETS,
        "stream_first_byte_seconds": FIRST_BYTE_BUCKETS,
    },
)
_NO_METRICS: Final = StreamMetrics()


def _forget() -> None:
    # The streams that are open in the parent of a fork are not the child's.
    for service in _collectors:
        service.forget()


call_in_child(_forget)


def use(registry: CollectorRegistry | None) -> None:
    """Count the streams that start from now on in ``registry``, or not at all if it is None.

    Raises as ``MetricsService`` does.
    """
    if registry is not None:
        MetricsService(registry)
    use_registry(registry)


def expose(accept: str = "") -> tuple[bytes, str]:
    """All metrics of the registry in use, for Prometheus to scrape, and their content type.

    ``accept`` is the value of the request's ``Accept``. In prometheus-client's multiprocess mode
    they are those of all processes. Without a registry there are none.
    """
    registry = registry_in_use()
    if registry is None:
        registry = CollectorRegistry()
    elif _is_multiprocess():
        for service in _collectors:
            service.update()
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def stream_metrics(kind: str, name: str, tenant: str) -> StreamMetrics:
    """The metrics of a stream that starts now.

    The registry is first touched here, so that importing streamkit adds nothing to it. A stream is
    not counted where that fails: a metric of the application's own has one of our names, or the
    folder of the multiprocess mode cannot be written to.
    """
    registry = registry_in_use()
    if registry is None:
        return _NO_METRICS
    try:
        return _collectors.of(registry).stream(kind, name, tenant)
    except Exception as error:
        say_once(f"streams are not counted: {error}", error)
        return _NO_METRICS
