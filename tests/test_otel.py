"""What OpenTelemetry is told of streams and channels, by its own exporters."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).resolve().parent / "support"

PROTOCOLS = pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
SOURCES = pytest.mark.parametrize("source", ["sync", "async"])


def run(*command: str) -> Any:
    ended = subprocess.run(
        [sys.executable, "-W", "error", *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(SUPPORT), *sys.path))},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def told() -> Any:
    return run(str(SUPPORT / "traced.py"))


def about(kind: str, name: str) -> dict[str, str]:
    return {"streamkit.kind": kind, "streamkit.stream": name, "streamkit.tenant": "system"}


@PROTOCOLS
@SOURCES
def test_a_stream_is_a_span_of_its_request_with_its_figures(
    told: Any, protocol: str, source: str
) -> None:
    name = f"{protocol}-{source}-whole"
    request, stream = told["spans"][f"request {name}"], told["spans"][f"export {name}"]
    assert stream["parent"] == request["id"]
    assert stream["trace"] == request["trace"]
    assert stream["attributes"] == about("export", name) | {
        "streamkit.outcome": "completed",
        "streamkit.elements": 2,
        "streamkit.dropped": 0,
        "streamkit.bytes": len(b'{"id":1}\n{"id":2}\n'),
    }
    assert (stream["status"], stream["events"]) == ("UNSET", [])


@PROTOCOLS
@SOURCES
def test_what_a_source_traces_is_a_part_of_the_stream(
    told: Any, protocol: str, source: str
) -> None:
    name = f"{protocol}-{source}-whole"
    assert told["spans"][f"query {name}"]["parent"] == told["spans"][f"export {name}"]["id"]


@PROTOCOLS
@SOURCES
def test_the_span_of_a_failed_stream_has_the_error(told: Any, protocol: str, source: str) -> None:
    stream = told["spans"][f"export {protocol}-{source}-failed"]
    assert stream["attributes"]["streamkit.outcome"] == "failed"
    assert stream["attributes"]["streamkit.elements"] == 1
    assert (stream["status"], stream["events"]) == ("ERROR", ["LookupError"])


@pytest.mark.parametrize(
    ("figure", "labels", "value"),
    [
        ("elements", {}, 2),
        ("bytes", {}, 18),
        ("dropped", {}, 0),
        ("refused", {}, 0),
        ("rejected", {}, 0),
        ("active", {}, 0),
        ("closed", {"outcome": "completed"}, 1),
        ("closed", {"outcome": "failed"}, 0),
        ("duration", {}, 1),
        ("first_byte", {}, 1),
    ],
)
@PROTOCOLS
def test_a_stream_has_the_figures_that_prometheus_is_told(
    told: Any, protocol: str, figure: str, labels: dict[str, str], value: int
) -> None:
    expected = about("export", f"{protocol}-sync-whole")
    expected |= {f"streamkit.{name}": label for name, label in labels.items()}
    points = told["figures"][f"streamkit.stream.{figure}"]
    [point] = [point for point in points if expected.items() <= point.items()]
    assert point["value"] == value


def test_figures_have_units_and_histograms_the_same_buckets(told: Any) -> None:
    assert {point["unit"] for point in told["figures"]["streamkit.stream.bytes"]} == {"By"}
    for point in told["figures"]["streamkit.stream.duration"]:
        assert (point["unit"], point["bounds"][-1]) == ("s", 28800)


def test_channels_have_their_figures_too(told: Any) -> None:
    [published] = told["figures"]["streamkit.channel.published"]
    assert (published["streamkit.channel"], published["value"]) == ("orders", 2)


def test_a_file_that_the_server_sends_by_itself_is_a_span_without_a_request(told: Any) -> None:
    span = told["spans"]["download file"]
    assert span["parent"] is None
    assert span["attributes"]["streamkit.bytes"] == 3
    assert span["attributes"]["streamkit.outcome"] == "completed"


def test_a_response_that_is_not_sent_is_no_span(told: Any) -> None:
    assert "sse unread" not in told["spans"]


def test_what_came_before_the_set_up_is_counted_and_not_traced(told: Any) -> None:
    names = [point["streamkit.stream"] for point in told["figures"]["streamkit.stream.elements"]]
    assert "early" in names
    assert "sse early" not in told["spans"]


def test_metrics_that_are_off_are_off_here_as_well(told: Any) -> None:
    """But for the histograms, which are told as they happen, of what was before."""
    assert "sse uncounted" in told["spans"]
    assert "uncounted" not in told["counted"]


def test_a_stream_goes_on_where_it_cannot_be_traced(told: Any) -> None:
    assert "sse untold" not in told["spans"]


def test_nothing_is_imported_where_nobody_has() -> None:
    script = """
import json, sys
from streamkit import Channel, StreamingService

list(StreamingService.sse("ticks", ["a"]))
Channel("ticks").publish(1)
print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry")]))
"""
    assert run("-c", script) == []


@pytest.mark.parametrize(
    "asked",
    [
        "reader.get_metrics_data()",
        "channel_metrics('other', registry_in_use())",
        "resumable_metrics('other')",
        "stream_metrics('sse', 'other', 'system')",
    ],
)
@pytest.mark.parametrize(
    "made",
    [
        "channel_metrics('first', registry_in_use())",
        "resumable_metrics('first')",
        "stream_metrics('sse', 'first', 'system')",
    ],
)
def test_nobody_waits_for_what_is_just_told_of_figures(made: str, asked: str) -> None:
    """It waits itself for a reader, which holds a lock of its own while it asks for figures."""
    script = f"""
import json, os, threading
import opentelemetry.metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from streamkit.channels.metrics import channel_metrics
from streamkit.collectors import registry_in_use
from streamkit.meters import Meters
from streamkit.metrics import stream_metrics
from streamkit.resumable.metrics import resumable_metrics

reader = InMemoryMetricReader()
opentelemetry.metrics.set_meter_provider(MeterProvider([reader]))
threads = []
add = Meters._add

def add_and_ask(*arguments):
    add(*arguments)
    if not threads:
        threads.append(threading.Thread(target=lambda: {asked}, daemon=True))
        threads[0].start()
        threads[0].join(10)
        print(json.dumps(not threads[0].is_alive()), flush=True)
        os._exit(0)

Meters._add = add_and_ask
{made}
"""
    assert run("-c", script) is True


def test_what_opentelemetry_raises_is_told_once_and_all_is_counted() -> None:
    script = """
import json, logging
import opentelemetry.metrics
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry
from streamkit import StreamingService, metrics

class Broken(MeterProvider):
    def get_meter(self, *arguments, **options):
        raise OSError("there is no exporter")

class Said(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())

said = []
logging.getLogger("streamkit").addHandler(Said())
opentelemetry.metrics.set_meter_provider(Broken())
registry = CollectorRegistry()
for _ in range(2):
    metrics.use(registry)
list(StreamingService.sse("ticks", ["a"]))
labels = {"kind": "sse", "stream": "ticks", "tenant": "system"}
print(json.dumps([said, registry.get_sample_value("stream_elements_total", labels)]))
"""
    assert run("-c", script) == [
        ["OpenTelemetry is not told of figures: there is no exporter"],
        1,
    ]
