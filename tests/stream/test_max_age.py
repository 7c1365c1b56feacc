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


def test_a_silent_stream_ends_at_a_heartbeat(
    combination: Combination, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_age(monkeypatch, max_age=0.5, heartbeat=0.02)
    release = threading.Event()

    def silent() -> Any:
        return asyncio.to_thread(release.wait, WAIT) if combination.is_async else release.wait(WAIT)

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


def test_streams_end_when_an_hour_old_give_or_take_six_minutes_and_no_two_at_once() -> None:
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
    assert 54 * 60 <= min(ages) < 57 * 60
    # Later, on a machine that is busy otherwise.
    assert 63 * 60 < max(ages) <= 66 * 60 + WAIT


def test_exports_and_downloads_have_no_age(combination: Combination) -> None:
    for response in (
        StreamingService.export("e", combination.source(range(10)), "ndjson"),
        StreamingService.download(combination.source([b"piece"] * 10), filename="f"),
    ):
        reader = combination.reader.open(response)
        reader.next()
        assert response.pipeline is not None
        assert response.pipeline.agenda._retires_at == inf
        reader.leave()
