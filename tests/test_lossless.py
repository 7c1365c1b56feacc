"""Events of which a slow client misses none, in all four combinations."""

import threading
from itertools import repeat
from typing import Any

import pytest
from combinations import WAIT, Combination, SyncSource, outcomes, value, wait_until
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import StreamingService, inline, kind, lossless, signals
from streamkit.testing import connect
from streamkit_adapters.wsgi import StreamingService as WSGIService


def test_a_slow_client_gets_every_event(
    combination: Combination, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamkit.stream.buffer.MAX_AWAY", 0.0)
    source = combination.source(range(2_000))
    reader = combination.reader.open(StreamingService.sse("answer", lossless(source)))
    body = reader.rest()
    assert body == b"".join(b"data: %d\n\n" % number for number in range(2_000))
    assert value(registry, "stream_dropped_total") == 0
    assert value(registry, "stream_elements_total", kind="sse", stream="answer") == 2_000
    wait_until(lambda: source.closes == 1)


def test_the_source_waits_at_128_events(combination: Combination) -> None:
    source = combination.source(repeat("token"))
    reader = combination.reader.open(StreamingService.sse("answer", lossless(source)))
    taken = reader.next().count(b"data")
    if not combination.is_async:
        wait_until(lambda: source.given >= taken + 128)
    # One more is in its hands.
    assert source.given <= taken + 128 + 1
    reader.leave()
    assert source.closed.wait(WAIT)


def test_it_goes_on_as_the_process_is_shut_down(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(["one", streamkit.shutdown, "two"])
    reader = combination.reader.open(StreamingService.sse("answer", lossless(source)))
    try:
        assert reader.rest() == b"data: one\n\ndata: null\n\ndata: two\n\n"
        wait_until(lambda: outcomes(registry) == {"completed": 1})
        late = combination.reader
        reply = late.begin(StreamingService.sse("answer", lossless(combination.source(["late"]))))
        assert reply.status == 503
    finally:
        signals._forget()


def test_it_has_heartbeats_and_no_age() -> None:
    assert kind.LOSSLESS.heartbeat == kind.SSE.heartbeat
    assert kind.LOSSLESS.max_age is None
    release = threading.Event()
    source = SyncSource(["one", release.wait])
    with connect(WSGIService.sse("answer", lossless(source))) as client:
        assert client.event().data == "one"
        client.heartbeat()
        release.set()
        assert client.event().data == "true"


def test_it_may_be_inline_too() -> None:
    source = SyncSource(["one", "two"])
    response = StreamingService.sse("answer", lossless(inline(source)))
    assert b"".join(response.chunks()) == b"data: one\n\ndata: two\n\n"
    assert len(source.places) == 1


def test_it_is_marked_once() -> None:
    source = lossless(["one"])
    assert lossless(source) is source


@pytest.mark.parametrize("events", ["text", {"a": 1}, 7, None, list])
def test_what_is_no_source_is_refused(events: Any) -> None:
    with pytest.raises(TypeError, match="events must be an iterable"):
        lossless(events)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda marked: StreamingService.export("e", marked, "csv"), "rows"),
        (lambda marked: StreamingService.download(marked, filename="f"), "source"),
        (inline, "iterable"),
    ],
)
def test_only_events_are_lossless(call: Any, argument: str) -> None:
    with pytest.raises(TypeError, match=f"{argument} must not be lossless"):
        call(lossless(["one"]))
