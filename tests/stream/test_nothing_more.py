"""A source that has nothing more for its client. See ``limits`` for what clients see."""

import logging
import threading
from typing import Any

import pytest
from combinations import WAIT, AsyncSource, Combination, SyncSource, value, wait_until
from prometheus_client import CollectorRegistry

from streamkit import NothingMore, StreamingService, StreamResponse

CLOSED = "stream_closed_total"


def opened(combination: Combination, response: StreamResponse) -> tuple[Any, list[object]]:
    """Its reader, and what it told of its end."""
    ends: list[object] = []
    response.call_on_close(ends.append)
    return combination.reader.open(response), ends


def test_nothing_more_before_the_first_byte_is_a_204_and_no_failure(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source([NothingMore()])
    response = StreamingService.sse("s", source)
    ends: list[object] = []
    response.call_on_close(ends.append)
    reply = combination.reader.begin(response)
    assert (reply.status, reply.body) == (204, b"")
    assert "Content-Type" not in response.headers
    assert source.closes == 1
    wait_until(lambda: value(registry, CLOSED, outcome="completed") == 1)
    assert value(registry, CLOSED) == 1
    wait_until(lambda: ends == [None])


def test_nothing_more_is_an_empty_body_where_no_request_is_answered(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source([NothingMore()])
    reader, ends = opened(combination, StreamingService.sse("s", source))
    assert reader.rest() == b""
    assert source.closes == 1
    wait_until(lambda: value(registry, CLOSED, outcome="completed") == 1)
    assert value(registry, CLOSED) == 1
    wait_until(lambda: ends == [None])


def test_nothing_more_after_the_first_byte_is_the_end_of_the_stream(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(["one", NothingMore()])
    reader, ends = opened(combination, StreamingService.sse("s", source))
    assert reader.rest() == b"data: one\n\n"
    assert source.closes == 1
    wait_until(lambda: value(registry, CLOSED, outcome="completed") == 1)
    wait_until(lambda: ends == [None])


def test_a_serializer_may_say_that_there_is_nothing_more(
    combination: Combination, registry: CollectorRegistry
) -> None:
    def serialize(element: object) -> str:
        raise NothingMore

    source = combination.source(["one", "two"])
    reply = combination.reader.begin(StreamingService.sse("s", source, serialize))
    assert (reply.status, reply.body) == (204, b"")
    wait_until(lambda: value(registry, CLOSED, outcome="completed") == 1)


@pytest.mark.parametrize("elements", [[], [1]])
def test_nothing_more_in_an_export_is_an_error_like_any_other(
    combination: Combination, registry: CollectorRegistry, elements: list[Any]
) -> None:
    error = NothingMore()
    source = combination.source([*elements, error])
    reader, ends = opened(combination, StreamingService.export("e", source, "ndjson"))
    with pytest.raises(NothingMore):
        reader.rest()
    reader.leave()
    wait_until(lambda: value(registry, CLOSED, outcome="failed") == 1)
    wait_until(lambda: ends == [error])


@pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
def test_nothing_more_for_a_client_that_has_left_is_no_error(
    source_class: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor for one who was told to come back."""
    entered, release = threading.Event(), threading.Event()

    def nothing_more() -> Any:
        def block() -> None:
            entered.set()
            release.wait(WAIT)
            raise NothingMore

        return block()

    source = source_class([nothing_more])
    chunks = iter(StreamingService.sse("s", source))
    reader = threading.Thread(target=list, args=(chunks,))
    reader.start()
    assert entered.wait(WAIT)
    with caplog.at_level(logging.ERROR, "streamkit"):
        chunks.close()
        release.set()
        reader.join(WAIT)
        assert source.closed.wait(WAIT)
        wait_until(lambda: chunks._pipeline.lifetime.is_settled)
    assert not caplog.records
