"""Live streams end when they are old, so that load spreads again after a deployment."""

import asyncio
import re
import threading
import time
from dataclasses import replace
from itertools import repeat
from math import inf
from typing import Any

import pytest
from combinations import WAIT, Combination, value, wait_until
from prometheus_client import CollectorRegistry

from streamkit import StreamingService, kind


def let_age(monkeypatch: pytest.MonkeyPatch, max_age: float, heartbeat: float | None) -> None:
    monkeypatch.setattr(kind, "SSE", replace(kind.SSE, max_age=max_age, heartbeat=heartbeat))


RETRY = re.compile(rb"retry: (\d+)\n\n\Z")


def test_the_age_is_an_hour_and_for_live_streams_only() -> None:
    assert kind.SSE.max_age == 3600
    assert kind.EXPORT.max_age is kind.DOWNLOAD.max_age is None


def test_a_silent_stream_ends_at_a_heartbeat(
    combination: Combination, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_age(monkeypatch, max_age=0.05, heartbeat=0.02)
    release = threading.Event()

    def silent() -> Any:
        return asyncio.to_thread(release.wait) if combination.is_async else release.wait()

    source = combination.source([silent])
    reader = combination.reader.open(StreamingService.sse("s", source))
    body = reader.rest()
    found = RETRY.search(body)
    assert found
    assert 1000 <= int(found[1]) <= 10_000
    assert body.startswith(b": heartbeat\n\n")
    release.set()
    reader.leave()
    assert source.closed.wait(WAIT)
    assert source.closes == 1
    wait_until(lambda: value(registry, "stream_closed_total", outcome="retired") == 1)
    assert value(registry, "stream_active") == 0


def test_a_busy_stream_ends_after_what_is_ready(
    combination: Combination, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_age(monkeypatch, max_age=0.05, heartbeat=None)
    source = combination.source(repeat("event"))
    reader = combination.reader.open(StreamingService.sse("s", source))
    assert RETRY.search(reader.rest())
    reader.leave()
    assert source.closed.wait(WAIT)


def test_no_two_streams_are_equally_old(monkeypatch: pytest.MonkeyPatch) -> None:
    let_age(monkeypatch, max_age=1000.0, heartbeat=None)
    ages = set()
    for _ in range(50):
        stream = StreamingService.sse("s", ["event"] * 2)
        chunks = iter(stream)
        started_at = time.monotonic()
        next(chunks)
        assert stream.pipeline is not None
        ages.add(stream.pipeline.agenda._retires_at - started_at)
        chunks.close()
    assert len(ages) == 50
    assert 900 <= min(ages) < 950
    # Later, on a machine that is busy otherwise.
    assert 1050 < max(ages) <= 1100 + WAIT


def test_an_export_has_no_age(combination: Combination) -> None:
    response = StreamingService.export("e", combination.source(range(10)), "ndjson")
    reader = combination.reader.open(response)
    reader.next()
    assert response.pipeline is not None
    assert response.pipeline.agenda._retires_at == inf
    reader.leave()
