"""What a response is asked: once, by one request, on one thread or loop."""

import threading
from typing import Any

import pytest
from combinations import WAIT, AsyncSource, Combination, SyncSource, ThreadReader, request, value
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit import StreamingService, inline, request_context
from streamkit.adapting import BaseStreamingService, StreamResponse
from streamkit.admission import Admission
from streamkit.stream.batches import Batches


def test_a_second_request_changes_nothing_of_the_first(
    combination: Combination, registry: CollectorRegistry
) -> None:
    admission = Admission(2)
    with request_context("GET", Headers(), None, streams=admission):
        response = StreamingService.export("e", combination.source(range(1000)), "ndjson")
    combination.reader.begin(response)
    headers = Headers(response.headers)
    for again in (combination.reader.begin, begin_around):
        with pytest.raises(RuntimeError, match="answers only one request"):
            again(response, Accept_Encoding="gzip")
    assert response.headers == headers
    assert admission.enter()
    assert not admission.enter()
    assert combination.reader.rest().count(b"\n") == 1000


def begin_around(response: StreamResponse, **headers: str) -> Any:
    return response.begin_around([b""], request("GET", headers), 200, response.headers)


def test_a_response_that_is_iterated_twice_is_refused_and_goes_on() -> None:
    response = StreamingService.export("e", [1, 2], "ndjson")
    chunks = iter(response)
    with pytest.raises(RuntimeError, match="only once"):
        iter(response)
    assert b"".join(chunks) == b"1\n2\n"


def test_a_source_is_closed_whose_response_cannot_be_made() -> None:
    class Service(BaseStreamingService[StreamResponse]):
        @classmethod
        def respond(cls, response: StreamResponse) -> StreamResponse:
            raise ZeroDivisionError

    source = SyncSource([1])
    with pytest.raises(ZeroDivisionError):
        Service.export("e", source, "ndjson")
    assert source.closes == 1


def test_what_is_told_too_late_is_told_from_within_another_callback() -> None:
    """Its context is entered then."""
    called: list[str] = []
    response = StreamingService.export("e", [1], "ndjson")

    def call(error: object) -> None:
        called.append("first")
        response.call_on_close(lambda error: called.append("second"))

    response.call_on_close(call)
    list(response)
    assert called == ["first", "second"]


def test_a_consumer_that_takes_a_batch_while_another_thread_frees_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamkit.stream.batches.SLICE_SECONDS", 0.0)
    response = StreamingService.export("e", inline(range(100)), "ndjson")
    chunks = iter(response)
    next(chunks)
    taken: list[object] = []
    free = Batches.close

    def take_meanwhile(batches: Batches) -> None:
        monkeypatch.setattr(Batches, "close", free)
        consumer = threading.Thread(target=lambda: taken.append(next(chunks, "over")))
        assert response.pipeline is not None
        assert batches.has_more
        taken.append(response.pipeline.take())
        consumer.start()
        consumer.join(WAIT)
        free(batches)

    monkeypatch.setattr(Batches, "close", take_meanwhile)
    response.close()
    assert taken == [None, "over"]


def test_a_thread_that_starts_though_its_starter_is_interrupted_closes_its_source(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C may come while a thread waits for another to start."""
    start = threading.Thread.start

    def start_and_be_interrupted(thread: threading.Thread) -> None:
        start(thread)
        assert begun.wait(WAIT)
        raise KeyboardInterrupt

    def first() -> int:
        begun.set()
        return 1

    begun = threading.Event()
    source = SyncSource([first, *range(1000)])
    response = StreamingService.export("e", source, "ndjson")
    monkeypatch.setattr(threading.Thread, "start", start_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        ThreadReader().begin(response)
    assert source.closed.wait(WAIT)
    assert (source.closes, len(source.places)) == (1, 1)
    closed = threading.Event()
    response.call_on_close(lambda error: closed.set())
    assert closed.wait(WAIT)
    assert value(registry, "stream_active") == 0


def test_trio_is_refused_by_an_error_that_says_what_can_be_used() -> None:
    """There is no loop of asyncio's then."""
    source = AsyncSource([1])
    response = StreamingService.export("e", source, "ndjson")
    begun = response.abegin(request("GET", {}), 200, response.headers)
    with pytest.raises(RuntimeError, match="hypercorn -k asyncio"):
        begun.send(None)
    assert source.closed.wait(WAIT)
