"""The WSGI adapter, through the two checkers of PEP 3333 and by hand."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
import webtest.lint
from combinations import AsyncSource, SyncSource, value
from prometheus_client import CollectorRegistry

import streamkit
from streamkit.stream import background
from streamkit_adapters.wsgi import StreamingResponse, StreamingService, StreamkitMiddleware

RESPONSES: dict[str, tuple[Callable[[Any], StreamingResponse], bytes]] = {
    "sse": (lambda source: StreamingService.sse("s", source, str), b"data: 1\n\ndata: 2\n\n"),
    "download": (
        lambda source: StreamingService.download(source, filename="f.bin", size=2),
        b"12",
    ),
    "export": (lambda source: StreamingService.export("e", source, "ndjson"), b"1\n2\n"),
}


def elements(kind: str) -> list[Any]:
    return [b"1", b"2"] if kind == "download" else [1, 2]


def environ(method: str = "GET") -> dict[str, Any]:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    return environ


def recorder(started: list[Any]) -> Any:
    """A ``start_response`` that notes what it is called with."""
    return lambda *head: started.append(head)


def refuse_to_start(*arguments: object) -> Any:
    raise AssertionError("start_response was called")


@pytest.mark.parametrize("source", [SyncSource, AsyncSource])
@pytest.mark.parametrize("kind", RESPONSES)
class TestAllKinds:
    @pytest.mark.parametrize(
        "check", [webtest.lint.middleware, validator], ids=["webtest", "wsgiref"]
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_response_passes_the_checkers(
        self, kind: str, source: Any, method: str, check: Any
    ) -> None:
        make, body = RESPONSES[kind]
        opened = source(elements(kind))
        started: list[Any] = []
        checked = check(lambda environ, start: make(opened)(environ, start))
        chunks = checked(environ(method), recorder(started))
        received = b"".join(chunks)
        chunks.close()
        assert received == (body if method == "GET" else b"")
        assert started[0][0] == "200 OK"
        assert opened.closed.wait(5)
        assert opened.closes == 1
        assert opened.given == (2 if method == "GET" else 0)

    def test_webtest_reads_a_response(self, kind: str, source: Any) -> None:
        make, body = RESPONSES[kind]
        app = webtest.TestApp(lambda environ, start: make(source(elements(kind)))(environ, start))
        response = app.get("/")
        assert response.body == body
        expected = make(source([])).headers.to_wsgi_list()
        assert set(expected) <= set(response.headers.items())
        assert set(expected) <= set(app.head("/").headers.items())


@pytest.mark.parametrize("kind", ["download", "export"])
def test_a_source_that_fails_at_once_fails_before_the_head(kind: str) -> None:
    error = OSError("no such table")
    with pytest.raises(OSError, match="no such table"):
        RESPONSES[kind][0](SyncSource([error]))(environ(), refuse_to_start)


def test_the_head_of_a_live_stream_does_not_wait_for_an_event() -> None:
    goes_on = Event()
    started: list[Any] = []
    source = SyncSource([goes_on.wait])
    chunks: Any = RESPONSES["sse"][0](source)(environ(), recorder(started))
    assert started
    assert next(chunks) == b": heartbeat\n\n"
    goes_on.set()
    assert next(chunks) == b"data: True\n\n"
    chunks.close()


def test_headers_and_status_of_a_response_can_be_changed() -> None:
    response = StreamingService.export("e", [1], "json")
    response.headers["Cache-Control"] = "no-store"
    response.status = 202
    started: list[Any] = []
    assert b"".join(response(environ(), recorder(started))) == b"[\n1\n]\n"
    status, headers = started[0]
    assert status == "202 Accepted"
    assert ("Cache-Control", "no-store") in headers


class TestMiddleware:
    def app(self, environ: Any, start_response: Any) -> Any:
        def source() -> Iterator[str]:
            seen = streamkit.context.get()
            yield f"{seen.method} {seen.headers['Host']} {seen.last_event_id} {seen.tenant}"

        return StreamingService.sse("s", source())(environ, start_response)

    def test_the_middleware_sets_the_context_for_the_source_and_the_metrics(
        self, registry: CollectorRegistry
    ) -> None:
        middleware = StreamkitMiddleware(self.app, tenant=lambda environ: environ["HTTP_X_SHOP"])
        response = webtest.TestApp(middleware).get(
            "/", headers={"Last-Event-ID": "7", "X-Shop": "north"}
        )
        assert response.text == "data: GET localhost:80 7 north\n\n"
        labels = {"kind": "sse", "stream": "s", "tenant": "north"}
        assert registry.get_sample_value("stream_elements_total", labels) == 1
        assert streamkit.context.get().tenant == "system"

    def test_no_header_names_a_tenant_by_itself(self) -> None:
        response = webtest.TestApp(StreamkitMiddleware(self.app)).get(
            "/", headers={"X-Tenant": "north"}
        )
        assert response.text == "data: GET localhost:80 None system\n\n"


@pytest.mark.parametrize(
    "error",
    [RuntimeError("can't start new thread"), OSError(24, "Too many open files")],
    ids=["thread", "descriptor"],
)
def test_nothing_is_lost_where_there_is_no_loop_for_an_async_source(
    error: Exception, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before there is a stream. The place is free, and the source closed, all the same."""

    def fail(*arguments: object) -> Any:
        raise error

    monkeypatch.setattr(background, "_background", background._Background())
    sources = [AsyncSource([1]) for _ in range(3)]
    waiting = iter(sources)

    def app(environ: Any, start_response: Any) -> Any:
        return StreamingService.export("e", next(waiting), "ndjson")(environ, start_response)

    limited = StreamkitMiddleware(app, max_streams=1)
    with monkeypatch.context() as patch:
        if isinstance(error, OSError):
            patch.setattr(asyncio, "new_event_loop", fail)
        else:
            patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(type(error), match=str(error).replace("[", ".")):
            limited(environ(), recorder([]))
        started: list[Any] = []
        assert list(limited(environ("HEAD"), recorder(started))) == []
        assert started[0][0] == "200 OK"
    for source in sources[:2]:
        assert source.closed.is_set()
        assert (source.given, source.closes) == (0, 1)
    assert value(registry, "stream_active") == 0
    assert b"".join(limited(environ(), recorder([]))) == b"1\n"


def test_a_tenant_that_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="tenant must be a function .* or None, got 'acme'"):
        StreamkitMiddleware(lambda *arguments: None, tenant="acme")  # type: ignore[arg-type]
