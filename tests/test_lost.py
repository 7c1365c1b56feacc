"""Streams that nobody reads to their end, and nobody closes."""

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pytest
from combinations import WAIT, Combination, SyncSource, outcomes, wait_until
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import StreamingService, lost
from streamkit.metrics import MetricsService


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_a_response_that_is_dropped_unread_is_closed(combination: Combination) -> None:
    source = combination.source([1, 2])
    combination.reader.run(lambda: bool(StreamingService.export("e", source, "ndjson")))
    wait_until(lambda: combination.reader.run(source.closed.is_set))
    assert (source.given, source.closes) == (0, 1)


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("make", [streamkit.inline, iter], ids=["inline", "pumped"])
def test_chunks_that_are_dropped_are_disconnected(make: Any, registry: CollectorRegistry) -> None:
    source = SyncSource(range(1000))
    chunks = iter(StreamingService.export("e", make(source), "ndjson"))
    next(chunks)
    del chunks
    assert source.closed.wait(WAIT)
    assert source.closes == 1
    wait_until(lambda: outcomes(registry) == {"disconnected": 1})


class Rows(list[int]):
    """A list that tells when it is freed."""


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("make", [streamkit.inline, lambda rows: rows], ids=["inline", "pumped"])
@pytest.mark.parametrize("end", [list, next, lambda chunks: None], ids=["end", "leave", "unread"])
def test_the_rows_of_an_export_go_with_its_chunks(make: Any, end: Any) -> None:
    def read() -> Any:
        rows = Rows(range(1000))
        end(iter(StreamingService.export("e", make(rows), "ndjson")))
        return weakref.ref(rows)

    kept = read()
    wait_until(lambda: kept() is None)


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("end", [list, next, lambda chunks: None], ids=["end", "leave", "unread"])
def test_the_bytes_of_a_download_go_with_its_chunks(end: Any) -> None:
    def read() -> Any:
        response = StreamingService.download(bytes(200_000), filename="f")
        kept = weakref.ref(response._negotiate.__self__._resource)  # type: ignore[union-attr]
        end(iter(response))
        return kept, response

    # Whoever keeps the response does not keep them.
    kept, response = read()
    wait_until(lambda: kept() is None)
    response.close()


def test_a_finalizer_waits_for_no_lock(registry: CollectorRegistry) -> None:
    """The collector may run it in the middle of a metric, whose lock is not reentrant."""
    source = SyncSource(range(1000))
    chunks = iter(StreamingService.export("e", source, "ndjson"))
    next(chunks)
    gauge = MetricsService(registry).active.labels("export", "e", "system")
    with gauge._value._lock:
        del chunks
        gc.collect()
    assert source.closed.wait(WAIT)
    wait_until(lambda: outcomes(registry) == {"disconnected": 1})


def test_what_cannot_be_closed_is_logged_and_the_next_is_closed_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise SystemExit("not closed")

    closed = threading.Event()
    lost.look_for_lost()
    lost.lose(fail)
    lost.lose(closed.set)
    assert closed.wait(WAIT)
    wait_until(lambda: "could not be closed properly" in caplog.text)


def test_one_that_takes_its_time_to_close_holds_no_other_up() -> None:
    release, closed = threading.Event(), threading.Event()
    lost.look_for_lost()
    lost.lose(lambda: release.wait(WAIT))
    lost.lose(closed.set)
    assert closed.wait(WAIT)
    release.set()


def test_without_a_thread_it_waits_for_a_stream_that_finds_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start

    def start_none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lost, "_lost", lost._Lost())
    monkeypatch.setattr(threading.Thread, "start", start_none)
    source = SyncSource([1])
    response = StreamingService.export("e", source, "ndjson")
    del response
    assert not source.closed.is_set()
    monkeypatch.setattr(threading.Thread, "start", start)
    StreamingService.export("e", [], "ndjson").close()
    assert source.closed.wait(WAIT)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_finds_what_it_loses_itself() -> None:
    script = """
        import os, threading, warnings
        from streamkit import StreamingService

        # About forking while there are threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)

        class Source:
            closed = threading.Event()

            def __iter__(self):
                return iter([1])

            def close(self):
                self.closed.set()

        StreamingService.export("e", Source(), "ndjson")
        assert Source.closed.wait(5)
        Source.closed.clear()
        child = os.fork()
        StreamingService.export("e", Source(), "ndjson")
        assert Source.closed.wait(5)
        if child:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)],
        capture_output=True,
        text=True,
        timeout=4 * WAIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
