"""The metrics as instruments of OpenTelemetry, in an application that has set that up.

They have the figures that Prometheus is told: counters and gauges are looked at when a reader of
OpenTelemetry asks for them, and cost a stream nothing. Nothing is imported for it: whoever has a
meter provider has imported ``opentelemetry.metrics``.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Metric

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Histogram, Observation

__all__ = ["Collect", "Meters", "are_used"]

Collect = Callable[[str], Iterable[Metric]]
"""Returns the families of one name as they are now."""

UNITS: Final = {"stream_bytes": "By"}
"""Of figures that are no plain numbers (UCUM, as OpenTelemetry has it)."""


def are_used() -> bool:
    """Whether somebody may have set meters up."""
    return "opentelemetry.metrics" in sys.modules


class Meters:
    """An instrument for each of the families that ``described`` has.

    ``buckets`` are those of the histograms, which are recorded as they happen.
    """

    def __init__(
        self,
        described: Iterable[Metric],
        collect: Collect,
        buckets: Mapping[str, Sequence[float]] = {},
    ) -> None:
        from opentelemetry.metrics import get_meter

        self._collect = collect
        self._meter = get_meter("streamkit")
        self._histograms: dict[str, Histogram] = {}
        for family in described:
            self._add(family, buckets)

    def record(self, name: str, seconds: float, labels: Mapping[str, str]) -> None:
        """The histogram of the family of this name has one more value."""
        self._histograms[name].record(seconds, _attributes(labels))

    def _add(self, family: Metric, buckets: Mapping[str, Sequence[float]]) -> None:
        # As in stream_first_byte_seconds: the unit has a place of its own.
        what, _, figure = family.name.removesuffix("_seconds").partition("_")
        about: dict[str, Any] = {
            "name": f"streamkit.{what}.{figure}",
            "unit": UNITS.get(family.name, ""),
            "description": family.documentation,
        }
        match family.type:
            case "counter":
                self._meter.create_observable_counter(callbacks=[self._observer(family)], **about)
            case "gauge":
                self._meter.create_observable_gauge(callbacks=[self._observer(family)], **about)
            case "histogram":
                about["unit"] = "s"
                self._histograms[family.name] = self._meter.create_histogram(
                    explicit_bucket_boundaries_advisory=buckets[family.name], **about
                )

    def _observer(self, family: Metric) -> "Callable[[CallbackOptions], Iterator[Observation]]":
        sample_name = f"{family.name}_total" if family.type == "counter" else family.name

        def observe(options: "CallbackOptions") -> "Iterator[Observation]":
            from opentelemetry.metrics import Observation

            for each in self._collect(family.name):
                for sample in each.samples:
                    if sample.name == sample_name:
                        yield Observation(sample.value, _attributes(sample.labels))

        return observe


def _attributes(labels: Mapping[str, str]) -> dict[str, str]:
    return {f"streamkit.{name}": value for name, value in labels.items()}
