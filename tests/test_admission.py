"""How many streams may be open at a time: the count itself. See ``limits`` for what clients see."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from combinations import SyncSource, ThreadReader, value, wait_until
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit import StreamingService, StreamResponse, request_context
from streamkit.adapting import Reply, Request
from streamkit.admission import Admission
from streamkit_adapters import asgi, wsgi


@pytest.mark.parametrize(
    ("max_streams", "error", "message"),
    [
        (0, ValueError, "max_streams must be at least 1, got 0"),
        (-1, ValueError, "max_streams must be at least 1, got -1"),
        (True, TypeError, "max_streams must be an int or None, got bool"),
        (2.0, TypeError, "max_streams must be an int or None, got float"),
        ("2", TypeError, "max_streams must be an int or None, got str"),
    ],
)
@pytest.mark.parametrize("middleware", [asgi.StreamkitMiddleware, wsgi.StreamkitMiddleware])
def test_max_streams_must_be_a_positive_int(
    middleware: Callable[..., Any], max_streams: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        middleware(lambda *arguments: None, max_streams=max_streams)


def test_as_many_streams_enter_as_there_is_room_for() -> None:
    admission = Admission(2)
    assert [admission.enter() for _ in range(3)] == [True, True, False]
    admission.give_back()
    assert [admission.enter() for _ in range(2)] == [True, False]


def test_threads_that_enter_at_once_are_counted_right() -> None:
    admission = Admission(8)

    def come_and_go(_: int) -> int:
        entered = 0
        for _ in range(1000):
            if admission.enter():
                entered += 1
                admission.give_back()
        return entered

    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(come_and_go, range(8))] == [1000] * 8
    assert [admission.enter() for _ in range(9)] == [True] * 8 + [False]


@pytest.fixture
def admission() -> Admission:
    return Admission(1)


@pytest.fixture
def in_request(admission: Admission) -> Iterator[None]:
    """A request that came through a middleware with room for one stream."""
    with request_context("GET", Headers(), None, streams=admission):
        yield


def begin(response: StreamResponse) -> Reply[Any]:
    return ThreadReader().begin(response)


def give_up(response: StreamResponse) -> None:
    begin(response)
    response.close()


def read(response: StreamResponse) -> None:
    list(begin(response).body)


def fail(response: StreamResponse) -> None:
    with pytest.raises(ZeroDivisionError):
        begin(response)


def fail_later(response: StreamResponse) -> None:
    with pytest.raises(ZeroDivisionError):
        list(begin(response).body)


def leave(response: StreamResponse) -> None:
    chunks = begin(response).body
    next(chunks)
    chunks.close()


def leave_before_the_first_chunk(response: StreamResponse) -> None:
    begin(response).body.close()


def be_wrapped_and_not_read(response: StreamResponse) -> None:
    request = Request(method="GET", headers=Headers())
    reply = response.begin_around(iter([b"x"]), request, 200, response.headers)
    assert list(reply.body) == [b"x"]
    response.close()


def be_wrapped_and_dropped(response: StreamResponse) -> None:
    """Its last reference is the caller's."""
    request = Request(method="GET", headers=Headers())
    reply = response.begin_around(iter([b"x"]), request, 200, response.headers)
    assert list(reply.body) == [b"x"]


@pytest.mark.usefixtures("in_request")
@pytest.mark.parametrize(
    ("elements", "end"),
    [
        (["event"] * 1000, give_up),
        (["event"], read),
        ([ZeroDivisionError()], fail),
        (["event", ZeroDivisionError()], fail_later),
        (["event"] * 1000, leave),
        (["event"] * 1000, leave_before_the_first_chunk),
        (["event"] * 1000, begin),
        (["event"], be_wrapped_and_not_read),
        (["event"], be_wrapped_and_dropped),
    ],
)
def test_each_place_is_given_back_once_the_source_is_closed(
    elements: list[Any], end: Callable[[StreamResponse], object], admission: Admission
) -> None:
    source = SyncSource(elements)
    gc.collect()
    gc.disable()
    try:
        response = StreamingService.sse("s", source)
        end(response)
        del response
        wait_until(admission.enter)
    finally:
        gc.enable()
    assert source.closes == 1
    assert not admission.enter()


@pytest.mark.usefixtures("in_request")
def test_a_stream_has_its_place_while_it_is_open(admission: Admission) -> None:
    body = begin(StreamingService.sse("s", SyncSource(["event"]))).body
    assert not admission.enter()
    body.close()
    wait_until(admission.enter)


@pytest.mark.usefixtures("in_request")
def test_a_response_that_is_made_and_not_asked_for_takes_no_place(
    admission: Admission, registry: CollectorRegistry
) -> None:
    response = StreamingService.sse("s", SyncSource(["event"]))
    assert admission.enter()
    response.close()
    assert value(registry, "stream_active") == 0
    assert value(registry, "stream_rejected_total") == 0


@pytest.mark.usefixtures("in_request")
def test_a_start_response_that_raises_gives_the_place_back(admission: Admission) -> None:
    def start_response(*head: object) -> Any:
        raise ZeroDivisionError

    response = wsgi.StreamingService.sse("s", SyncSource(["event"]))
    with pytest.raises(ZeroDivisionError):
        response({"REQUEST_METHOD": "GET"}, start_response)
    wait_until(admission.enter)
