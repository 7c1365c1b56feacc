import gc
import json
import math
import os
import signal
import subprocess
import sys
import time
import unicodedata
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import streamkit
from streamkit import StreamingService, metrics
from streamkit.metrics import MetricsService, Outcome, StreamMetrics, stream_metrics

NAMES = {
    "stream_active": "gauge",
    "stream_bytes": "counter",
    "stream_closed": "counter",
    "stream_dropped": "counter",
    "stream_duration_seconds": "histogram",
    "stream_elements": "counter",
    "stream_first_byte_seconds": "histogram",
    "stream_refused": "counter",
    "stream_rejected": "counter",
}

INVISIBLE = {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def _default_afterwards() -> Iterator[None]:
    yield
    metrics.use(REGISTRY)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    labels = {"kind": "sse", "stream": "ticks", "tenant": "acme"} | labels
    return registry.get_sample_value(name, labels)


def total(registry: CollectorRegistry, name: str) -> float:
    """The sum over all labels."""
    return math.fsum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    )


def ticks(registry: CollectorRegistry) -> StreamMetrics:
    return MetricsService(registry).stream("sse", "ticks", "acme")


def label_values(registry: CollectorRegistry, label: str) -> set[str]:
    return {
        sample.labels[label]
        for metric in registry.collect()
        for sample in metric.samples
        if metric.name == "stream_active"
    }


def label_sets(registry: CollectorRegistry) -> set[tuple[str, ...]]:
    return {
        tuple(sample.labels.values())
        for metric in registry.collect()
        for sample in metric.samples
        if metric.name == "stream_active"
    }


def run(script: str, **environ: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environ,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    ).stdout


def test_what_one_stream_does_is_counted(registry: CollectorRegistry) -> None:
    stream = ticks(registry)
    stream.opened()
    stream.added(64, 0)
    stream.added(10, 3)
    stream.sent(4096)
    stream.sent(1)
    stream.refused(2)
    assert value(registry, "stream_elements_total") == 74
    assert value(registry, "stream_dropped_total") == 3
    assert value(registry, "stream_bytes_total") == 4097
    assert value(registry, "stream_refused_total") == 2


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_a_closed_stream_is_counted_by_its_outcome(
    registry: CollectorRegistry, outcome: Outcome
) -> None:
    first, second = ticks(registry), ticks(registry)
    first.opened()
    second.opened()
    assert value(registry, "stream_active") == 2
    first.closed(outcome, 1.5)
    assert value(registry, "stream_active") == 1
    assert value(registry, "stream_duration_seconds_count") == 1
    assert value(registry, "stream_duration_seconds_sum") == 1.5
    for other in get_args(Outcome):
        expected = 1 if other == outcome else 0
        assert value(registry, "stream_closed_total", outcome=other) == expected


def test_all_metrics_of_a_stream_are_there_before_anything_happened(
    registry: CollectorRegistry,
) -> None:
    ticks(registry)
    for name in ("elements_total", "bytes_total", "dropped_total", "refused_total", "active"):
        assert value(registry, f"stream_{name}") == 0
    for outcome in get_args(Outcome):
        assert value(registry, "stream_closed_total", outcome=outcome) == 0
    assert value(registry, "stream_first_byte_seconds_count") == 0


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, "0.01"), (0.02, "0.05"), (45, "60.0"), (7200, "14400.0")]
)
def test_a_duration_falls_into_its_bucket(
    registry: CollectorRegistry, seconds: float, bucket: str
) -> None:
    ticks(registry).closed("completed", seconds)
    below = [le for le in metrics.DURATION_BUCKETS if le < float(bucket)]
    assert value(registry, "stream_duration_seconds_bucket", le=bucket) == 1
    for le in below:
        assert value(registry, "stream_duration_seconds_bucket", le=str(float(le))) == 0


def test_how_many_streams_may_be_open_is_told_once_there_is_a_limit(
    registry: CollectorRegistry,
) -> None:
    stream = ticks(registry)
    assert registry.get_sample_value("stream_max_active") is None
    stream.limited(50)
    assert registry.get_sample_value("stream_max_active") == 50


def test_the_time_to_the_first_byte_is_observed(registry: CollectorRegistry) -> None:
    ticks(registry).first_byte(0.003)
    assert value(registry, "stream_first_byte_seconds_bucket", le="0.001") == 0
    assert value(registry, "stream_first_byte_seconds_bucket", le="0.005") == 1
    assert value(registry, "stream_first_byte_seconds_sum") == 0.003


def test_all_metrics_are_exposed_with_their_types(registry: CollectorRegistry) -> None:
    MetricsService(registry).stream("sse", 'back\\slash "quoted"', "größe").opened()
    families = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        if not family.name.endswith("_created")
    }
    assert {name: family.type for name, family in families.items()} == NAMES
    assert all(family.documentation for family in families.values())
    (active,) = families["stream_active"].samples
    assert active.labels == {"kind": "sse", "stream": 'back\\slash "quoted"', "tenant": "größe"}
    assert active.value == 1


def test_a_registry_can_be_asked_for_one_metric(registry: CollectorRegistry) -> None:
    ticks(registry).opened()
    (family,) = registry.restricted_registry(["stream_active"]).collect()
    assert family.name == "stream_active"
    assert len(family.samples) == 1


class TestLabels:
    @pytest.mark.parametrize(
        ("given_", "label"),
        [
            ("acme", "acme"),
            ("größe", "größe"),
            (" a  b ", "a  b"),
            # NFKC.
            ("\uff21\uff43\uff4d\uff45", "Acme"),
            ("e\u0301", "é"),
            ("ﬁ①", "fi1"),
            ("a\u00a0b", "a b"),
            # Invisible: control, format, surrogate, separators, unassigned, fillers.
            ("a\r\n\0\x7f\x85b", "ab"),
            ("a\u200b\u200d\u2060\ufeff\u00ad\u202e\u2066b", "ab"),
            ("a\ud800b\udce9", "ab"),
            ("a\u2028b\u2029", "ab"),
            ("a\u0378\uffff\U0010ffffb", "ab"),
            ("a\u034f\ufe0f\u115f\u3164\uffa0\U000e0100b", "ab"),
            # What is hidden between a letter and its accent.
            ("e\u200d\u0301", "é"),
            # Nothing left.
            ("", "unknown"),
            (" \u200b\n", "unknown"),
            # Cut.
            ("x" * 120, "x" * 120),
            ("x" * 121, "x" * 120),
            ("\ufdfa" * 100, ("صلى الله عليه وسلم" * 7)[:120]),
            ("x" * 119 + " y", "x" * 119),
        ],
    )
    def test_a_label_is_cleaned(self, registry: CollectorRegistry, given_: str, label: str) -> None:
        stream = MetricsService(registry).stream("sse", given_, given_)
        assert MetricsService(registry).stream("sse", label, label) is stream
        stream.opened()
        assert value(registry, "stream_active", stream=label, tenant=label) == 1

    @settings(derandomize=True, deadline=None)
    @given(st.text(max_size=600))
    def test_a_label_that_is_clean_stays_as_it_is(self, text: str) -> None:
        registry = CollectorRegistry()
        service = MetricsService(registry)
        stream = service.stream("sse", text, "acme")
        (label,) = label_values(registry, "stream")
        assert 0 < len(label) <= 120
        assert not {unicodedata.category(c) for c in label} & INVISIBLE
        assert unicodedata.is_normalized("NFKC", label)
        assert service.stream("sse", label, "acme") is stream

    def test_the_names_of_streams_are_bounded_in_number(self, registry: CollectorRegistry) -> None:
        service = MetricsService(registry)
        for n in range(1000):
            service.stream("sse", f"stream{n}", "acme").opened()
        kept = {f"stream{n}" for n in range(100)}
        assert label_values(registry, "stream") == kept | {"other"}
        assert value(registry, "stream_active", stream="stream99") == 1
        assert value(registry, "stream_active", stream="other") == 900

    def test_combinations_of_labels_are_bounded_in_number(
        self, registry: CollectorRegistry
    ) -> None:
        """And not only the values of each label: here all have streams open."""
        service = MetricsService(registry)
        for n in range(1000):
            for name in ("ticks", "orders"):
                service.stream("sse", name, f"tenant{n}").opened()
        assert len(label_sets(registry)) == 200 + 2
        assert value(registry, "stream_active", stream="ticks", tenant="tenant99") == 1
        assert value(registry, "stream_active", stream="ticks", tenant="other") == 900
        assert total(registry, "stream_active") == 2000

    def test_a_new_tenant_takes_the_place_of_the_one_that_was_idle_for_longest(
        self, registry: CollectorRegistry
    ) -> None:
        service = MetricsService(registry)
        streams = [service.stream("sse", "ticks", f"tenant{n}") for n in range(200)]
        for stream in streams:
            stream.opened()
        for stream in (streams[7], streams[3]):
            stream.closed("completed", 1.0)
        service.stream("sse", "ticks", "new").opened()
        assert "tenant7" not in label_values(registry, "tenant")
        assert total(registry, "stream_closed_total") == 1
        service.stream("sse", "ticks", "newer").opened()
        assert "tenant3" not in label_values(registry, "tenant")
        service.stream("sse", "ticks", "newest").opened()
        assert value(registry, "stream_active", tenant="other") == 1
        assert value(registry, "stream_active", tenant="new") == 1

    def test_a_stream_whose_labels_were_left_out_brings_them_back(
        self, registry: CollectorRegistry
    ) -> None:
        """It was looked up when it was made, and may be opened much later."""
        service = MetricsService(registry)
        early, rejected = (service.stream("sse", "ticks", each) for each in ("early", "rejected"))
        for n in range(200):
            service.stream("sse", "ticks", f"tenant{n}")
        assert {"early", "rejected"}.isdisjoint(label_values(registry, "tenant"))
        early.opened()
        early.added(3, 0)
        rejected.rejected()
        assert value(registry, "stream_active", tenant="early") == 1
        assert value(registry, "stream_elements_total", tenant="early") == 3
        assert value(registry, "stream_rejected_total", tenant="rejected") == 1
        early.closed("completed", 1.0)
        assert value(registry, "stream_active", tenant="early") == 0

    def test_multiprocess_mode_leaves_nothing_out(
        self, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where prometheus-client cannot remove a series."""
        service = MetricsService(registry)
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "anywhere")
        for n in range(300):
            service.stream("sse", "ticks", f"tenant{n}").opened()
        assert value(registry, "stream_active", tenant="tenant0") == 1
        assert value(registry, "stream_active", tenant="other") == 100

    def test_known_labels_stay_known_past_the_bound(self, registry: CollectorRegistry) -> None:
        service = MetricsService(registry)
        known = service.stream("sse", "ticks", "acme")
        known.opened()
        for n in range(400):
            service.stream("sse", "ticks", f"tenant{n}")
        assert service.stream("sse", "ticks", "acme") is known
        assert service.stream("sse", "ticks", "\uff41cme") is known

    def test_labels_are_bounded_under_threads(self, registry: CollectorRegistry) -> None:
        service = MetricsService(registry)
        barrier = Barrier(8)

        def open_streams(thread: int) -> None:
            barrier.wait()
            for n in range(100):
                service.stream("sse", "ticks", f"tenant{thread}.{n}").opened()
                service.stream("sse", "ticks", "shared").opened()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(open_streams, range(8)))
        # One that was left out between its making and its start comes back: of each thread, one.
        assert 201 <= len(label_sets(registry)) <= 209
        assert value(registry, "stream_active", tenant="shared") == 800
        assert total(registry, "stream_active") == 1600

    def test_a_long_label_takes_no_time_to_speak_of(self, registry: CollectorRegistry) -> None:
        service = MetricsService(registry)
        before = time.process_time()
        service.stream("sse", "e" + "\u0316\u0301" * 50_000, "acme")
        assert time.process_time() - before < 1


class TestRegistries:
    def test_two_registries_count_side_by_side(self) -> None:
        one, two = CollectorRegistry(), CollectorRegistry()
        ticks(one).opened()
        ticks(two).opened()
        ticks(two).opened()
        assert value(one, "stream_active") == 1
        assert value(two, "stream_active") == 2

    def test_a_registry_has_one_service(self, registry: CollectorRegistry) -> None:
        assert MetricsService(registry) is MetricsService(registry)

    def test_a_registry_has_one_service_under_threads(self, registry: CollectorRegistry) -> None:
        barrier = Barrier(8)

        def service(_: int) -> MetricsService:
            barrier.wait()
            return MetricsService(registry)

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(service, range(8)))) == 1

    def test_a_registry_is_not_kept_alive(self) -> None:
        mortal = CollectorRegistry()
        ticks(mortal).opened()
        reference = weakref.ref(mortal)
        del mortal
        gc.collect()
        assert reference() is None

    def test_a_name_clash_is_an_error_and_leaves_no_trace(
        self, registry: CollectorRegistry
    ) -> None:
        theirs = Gauge("stream_active", "Rivers.", registry=registry)
        for _ in range(2):
            with pytest.raises(ValueError, match="stream_active"):
                MetricsService(registry)
        assert [family.name for family in registry.collect()] == ["stream_active"]
        registry.unregister(theirs)
        ticks(registry).opened()
        assert value(registry, "stream_active") == 1

    @pytest.mark.parametrize("given_", [None, "default", CollectorRegistry])
    def test_what_is_no_registry_is_refused(self, given_: object) -> None:
        with pytest.raises(TypeError, match=r"registry must be a prometheus_client\.Collector"):
            MetricsService(given_)  # type: ignore[arg-type]


@pytest.mark.usefixtures("_default_afterwards")
class TestUse:
    def test_another_registry_may_be_used(self, registry: CollectorRegistry) -> None:
        metrics.use(registry)
        stream_metrics("sse", "ticks", "acme").opened()
        assert value(registry, "stream_active") == 1
        assert not value(REGISTRY, "stream_active")

    def test_a_registry_may_be_used_twice(self, registry: CollectorRegistry) -> None:
        metrics.use(registry)
        stream_metrics("sse", "ticks", "acme").opened()
        metrics.use(registry)
        stream_metrics("sse", "ticks", "acme").opened()
        assert value(registry, "stream_active") == 2

    def test_no_registry_may_be_used(self, registry: CollectorRegistry) -> None:
        metrics.use(registry)
        metrics.use(None)
        stream = stream_metrics("sse", "ticks", "acme")
        stream.opened()
        stream.added(1, 1)
        stream.sent(1)
        stream.refused(1)
        stream.first_byte(0.1)
        stream.closed("completed", 1.0)
        assert [sample for family in registry.collect() for sample in family.samples] == []

    def test_an_open_stream_closes_where_it_began(self, registry: CollectorRegistry) -> None:
        metrics.use(registry)
        stream = stream_metrics("sse", "ticks", "acme")
        stream.opened()
        metrics.use(None)
        assert value(registry, "stream_active") == 1
        stream.closed("completed", 1.0)
        assert value(registry, "stream_active") == 0
        assert value(registry, "stream_closed_total", outcome="completed") == 1

    def test_a_refused_registry_changes_nothing(self, registry: CollectorRegistry) -> None:
        metrics.use(registry)
        taken = CollectorRegistry()
        Gauge("stream_active", "Rivers.", registry=taken)
        with pytest.raises(ValueError, match="stream_active"):
            metrics.use(taken)
        with pytest.raises(TypeError, match="registry must be"):
            metrics.use("default")  # type: ignore[arg-type]
        stream_metrics("sse", "ticks", "acme").opened()
        assert value(registry, "stream_active") == 1


def test_the_default_registry_is_untouched_until_the_first_stream() -> None:
    script = """
from prometheus_client import REGISTRY
from streamkit.metrics import stream_metrics

def names():
    return sorted(family.name for family in REGISTRY.collect() if "stream" in family.name)

print(names())
stream_metrics("sse", "ticks", "acme")
print(names())
"""
    assert run(script).splitlines() == ["[]", str(sorted(NAMES))]


@needs_fork
def test_metrics_of_many_processes_add_up(tmp_path: Path) -> None:
    """Three workers and their parent have a stream each; one worker is killed with it open."""
    script = """
import json, os, signal
from prometheus_client import CollectorRegistry, multiprocess
from streamkit.metrics import stream_metrics

labels = {"kind": "sse", "stream": "ticks", "tenant": "acme"}

def scrape():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    value = registry.get_sample_value
    return {
        "active": value("stream_active", labels),
        "elements": value("stream_elements_total", labels),
        "bytes": value("stream_bytes_total", labels),
        "completed": value("stream_closed_total", labels | {"outcome": "completed"}),
        "durations": value("stream_duration_seconds_count", labels),
    }

def work(ready, leave):
    stream = stream_metrics("sse", "ticks", "acme")
    stream.opened()
    stream.added(10, 1)
    stream.sent(100)
    os.write(ready, b".")
    os.read(leave, 1)
    stream.closed("completed", 2.0)

parent = stream_metrics("sse", "ticks", "acme")
parent.opened()
parent.added(1, 0)
ready_r, ready_w = os.pipe()
leave_r, leave_w = os.pipe()
workers = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        try:
            work(ready_w, leave_r)
        finally:
            os._exit(0)
    workers.append(pid)
for _ in workers:
    os.read(ready_r, 1)
scrapes = {"live": scrape()}

killed = workers.pop()
os.kill(killed, signal.SIGKILL)
os.waitpid(killed, 0)
multiprocess.mark_process_dead(killed)
scrapes["killed"] = scrape()

os.write(leave_w, b"..")
for pid in workers:
    os.waitpid(pid, 0)
scrapes["left"] = scrape()

parent.closed("completed", 3.0)
scrapes["closed"] = scrape()
print(json.dumps(scrapes))
"""
    scrapes = json.loads(run(script, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)))
    sums = {"elements": 31, "bytes": 300}
    assert scrapes == {
        "live": {"active": 4, "completed": 0, "durations": 0} | sums,
        "killed": {"active": 3, "completed": 0, "durations": 0} | sums,
        "left": {"active": 1, "completed": 2, "durations": 2} | sums,
        "closed": {"active": 0, "completed": 3, "durations": 3} | sums,
    }


STREAM_IN_A_PROCESS = """
import os, signal, sys
from streamkit import StreamingService

def counted():
    from prometheus_client import CollectorRegistry, multiprocess
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    labels = {"kind": "export", "stream": "rows", "tenant": "system"}
    return registry.get_sample_value("stream_bytes_total", labels)

def begun():
    # Each chunk is two bytes long, as an element is asked for when the last one was taken. The
    # source never ends.
    import threading
    asked = threading.Semaphore(0)
    def slow():
        while True:
            yield 1
            asked.acquire()
    chunks = iter(StreamingService.export("rows", slow(), "ndjson"))
    next(chunks)
    asked.release()
    next(chunks)
    return chunks
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("sys.exit(3)", 3),
        ("signal.raise_signal(signal.SIGTERM); signal.pause()", -signal.SIGTERM),
        ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    ],
    ids=["exit", "SIGTERM", "SIGINT"],
)
@needs_fork
def test_what_an_open_stream_did_is_not_lost_with_its_process(
    end: str, status: int, tmp_path: Path
) -> None:
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    # What is started in the background of a shell script ignores interrupts, and so would this.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    script = f"{heard}\n{STREAM_IN_A_PROCESS}\nchunks = begun()\n{end}"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environ,
        check=False,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )
    assert ended.returncode == status
    assert float(run(f"{STREAM_IN_A_PROCESS}\nprint(counted())", **environ)) >= 4


@needs_fork
def test_what_an_open_stream_did_is_told_to_other_processes_within_a_second_or_so(
    tmp_path: Path,
) -> None:
    script = f"""{STREAM_IN_A_PROCESS}
import time
chunks = begun()
began = time.monotonic()
while not counted():
    assert time.monotonic() < began + 30
    time.sleep(0.01)
print(counted())
"""
    assert float(run(script, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))) >= 4


@needs_fork
def test_each_event_of_a_paced_stream_is_told_to_other_processes(tmp_path: Path) -> None:
    script = """
import asyncio, time
from prometheus_client import CollectorRegistry, multiprocess
from streamkit import StreamingService

def counted():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    labels = {"kind": "sse", "stream": "ticks", "tenant": "system"}
    return registry.get_sample_value("stream_bytes_total", labels) or 0

async def main():
    events = asyncio.Queue()

    async def ticks():
        while True:
            yield await events.get()

    async def read():
        async for _ in StreamingService.sse("ticks", ticks()):
            pass

    reading = asyncio.create_task(read())
    for number in range(1, 4):
        events.put_nowait("x")
        began = time.monotonic()
        while counted() < number * len("data: x\\n\\n"):
            assert time.monotonic() < began + 30
            await asyncio.sleep(0.01)
    reading.cancel()
    print(counted())

asyncio.run(main())
"""
    assert float(run(script, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))) == 27


@needs_fork
def test_a_child_counts_its_own_streams_and_not_its_parents(tmp_path: Path) -> None:
    script = f"""{STREAM_IN_A_PROCESS}
import json
from streamkit.metrics import expose

chunks = begun()
pid = os.fork()
if pid == 0:
    try:
        own = begun()
        expose()
    finally:
        os._exit(0)
os.waitpid(pid, 0)
of_child = counted()
expose()
print(json.dumps([of_child, counted()]))
"""
    of_child, of_both = json.loads(run(script, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)))
    # The parent's own may have been written by then. Those of both are not counted twice.
    assert of_child in (4, 8)
    assert 8 <= of_both < 12


def test_a_scrape_sees_what_an_open_stream_has_done_until_now(registry: CollectorRegistry) -> None:
    metrics.use(registry)
    try:
        chunks = iter(StreamingService.export("rows", streamkit.inline(range(3)), "json"))
        labels = {"kind": "export", "stream": "rows", "tenant": "system"}
        sent = 0
        for chunk in chunks:
            sent += len(chunk)
            assert value(registry, "stream_bytes_total", **labels) == sent
        assert sent == len(b"[\n0,\n1,\n2\n]\n")
        assert value(registry, "stream_elements_total", **labels) == 3
    finally:
        metrics.use(REGISTRY)


def test_metrics_that_are_off_write_nothing_in_multiprocess_mode(tmp_path: Path) -> None:
    script = """
from streamkit.metrics import stream_metrics, use

use(None)
stream = stream_metrics("sse", "ticks", "acme")
stream.opened()
stream.closed("completed", 1.0)
"""
    run(script, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@needs_fork
def test_a_child_that_was_forked_while_streams_started_counts_its_own() -> None:
    script = """
import os, signal, threading
from prometheus_client import CollectorRegistry
from streamkit.metrics import MetricsService

begun, enough = threading.Event(), threading.Event()

def start_streams():
    while not enough.is_set():
        service = MetricsService(CollectorRegistry())
        for n in range(100):
            service.stream("sse", str(n), "acme")
            begun.set()

shared = MetricsService(CollectorRegistry())
thread = threading.Thread(target=start_streams)
thread.start()
begun.wait()
statuses = []
for n in range(20):
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        shared.stream("sse", str(n), "acme").opened()
        os._exit(0)
    statuses.append(os.waitpid(pid, 0)[1])
enough.set()
thread.join()
print(statuses)
"""
    assert run(script).strip() == str([0] * 20)
