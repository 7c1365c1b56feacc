"""What is gunicorn's own: workers that are forked, and that are killed."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import IncompleteRead
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from servers.harness import ROWS, Row, Server

WORKERS = [row for row in ROWS if row.server.startswith("gunicorn")]

COUNT = 1000
"""Rows in a stream."""


class Line(msgspec.Struct):
    n: int
    pid: int


def stream(server: Server, source: str) -> int:
    """The process that all of a stream comes from."""
    with server.client() as client:
        body = client.get("/", source=source).read()
    lines = [msgspec.json.decode(line, type=Line) for line in body.splitlines()]
    assert [line.n for line in lines] == list(range(COUNT))
    (pid,) = {line.pid for line in lines}
    return pid


@pytest.mark.parametrize("row", WORKERS, ids=str)
def test_workers_of_a_process_that_has_streamed_stream_as_well(row: Row, tmp_path: Path) -> None:
    """And has streams open: they use no thread, loop or lock of its, and their metrics add up."""
    pids: Counter[int] = Counter()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    forking = Server(replace(row, adapter="preloaded"), "--preload --workers 2", environment)
    with forking as server, ThreadPoolExecutor(16) as pool:
        # Which worker accepts a connection is up to the kernel.
        while len(pids) < 2 or pids.total() < 100:
            pids.update(pool.map(lambda source: stream(server, source), [*row.sources] * 8))
        assert server.state().pid not in pids
        assert server.errors() == ""

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))  # type: ignore[no-untyped-call]
    labels = {"kind": "export", "stream": "rows", "tenant": "system"}
    completed = {**labels, "outcome": "completed"}
    # One of each source was streamed before the fork, and one is open there.
    assert registry.get_sample_value("stream_closed_total", completed) == pids.total() + 2
    assert registry.get_sample_value("stream_active", labels) == 2


@pytest.mark.parametrize("row", WORKERS[:2], ids=str)
def test_a_stream_that_is_longer_than_the_timeout_needs_a_worker_with_threads(row: Row) -> None:
    """A worker that can do one thing at a time is killed for it."""
    with Server(row, "--timeout 1") as server, server.client() as client:
        response = client.get("/letters", name="long", source="sync")
        if row.streams == 1:
            with pytest.raises(IncompleteRead):
                response.read()
            server.expect_error("WORKER TIMEOUT")
        else:
            client.wait_at_most(3)
            with pytest.raises(TimeoutError):
                response.read()
            server.tell("long", None)
            assert server.errors() == ""
