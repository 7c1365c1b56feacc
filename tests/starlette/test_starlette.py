"""The Starlette adapter: its responses, among Starlette's own parts and in FastAPI."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Annotated, Any

import pytest
from asgi_client import Client, get, run, scope
from combinations import AsyncSource, SyncSource
from fastapi import BackgroundTasks, Depends, FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import streamkit
from streamkit_adapters.starlette import (
    CSVExport,
    Download,
    EventStream,
    JSONExport,
    NDJSONExport,
    StreamingResponse,
    StreamingService,
    StreamkitMiddleware,
)

SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])


GZIP = (b"accept-encoding", b"gzip")


def app(view: Callable[[Request], Any], *middleware: Middleware) -> Starlette:
    return Starlette(routes=[Route("/", view)], middleware=middleware)


@SOURCES
def test_a_response_is_one_of_starlette(source_class: Any) -> None:
    log: list[object] = []
    source = source_class([1, 2])

    async def view(request: Request) -> Response:
        response = StreamingService.export("e", source, "ndjson")
        response.set_cookie("seen", "yes")
        response.headers["Cache-Control"] = "no-store"
        response.background = BackgroundTask(lambda: log.append(source.closes))
        return response

    response = get(app(view))
    assert response.body == b"1\n2\n"
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Set-Cookie"].startswith("seen=yes;")
    assert log == [1]


class PassThrough(BaseHTTPMiddleware):
    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers["X-Passed"] = "yes"
        return response


WRAPPERS = {
    "none": [],
    "base": [Middleware(PassThrough)],
    "two-of-it": [Middleware(PassThrough), Middleware(PassThrough)],
    "gzip": [Middleware(GZipMiddleware, minimum_size=0)],
    "gzip-and-base": [Middleware(GZipMiddleware), Middleware(PassThrough)],
    "session": [Middleware(SessionMiddleware, secret_key="x")],
    "streamkit": [Middleware(StreamkitMiddleware)],
}


class PutBack(BaseHTTPMiddleware):
    """Reads the body of the request, and gives it again, as many people write it."""

    def __init__(self, app: Any, asked: asyncio.Event, turns: int) -> None:
        """``asked`` tells that more is asked for; the answer takes ``turns`` of the loop."""
        super().__init__(app)
        self._asked = asked
        self._turns = turns

    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        body = await request.body()

        async def receive() -> Any:
            self._asked.set()
            for _ in range(self._turns):
                await asyncio.sleep(0)
            return {"type": "http.request", "body": body, "more_body": False}

        request._receive = receive
        return await call_next(request)


def test_a_response_ends_behind_middleware_that_puts_the_body_back() -> None:
    """Asked again, it raises, in some of these as the response ends."""

    async def main(turns: int) -> None:
        asked = asyncio.Event()

        async def rows() -> AsyncIterator[int]:
            yield 1
            await asked.wait()

        client = Client()
        served = app(
            lambda request: StreamingService.export("e", rows(), "ndjson"),
            Middleware(PutBack, asked, turns),
        )
        await served(scope(), client.receive, client.send)
        assert client.body == b"1\n"

    for turns in range(40):
        run(partial(main, turns))


@pytest.mark.parametrize("wrappers", WRAPPERS.values(), ids=WRAPPERS)
class TestBehindMiddleware:
    @SOURCES
    def test_each_event_arrives_and_a_client_that_left_stops_the_source(
        self, wrappers: list[Middleware], source_class: Any
    ) -> None:
        async def main() -> None:
            arrived = threading.Semaphore(0)

            def wait() -> Any:
                if source_class is AsyncSource:
                    return asyncio.to_thread(arrived.acquire)
                return arrived.acquire()

            source = source_class(["first", wait, wait, *["rest"] * 10**7])
            client = Client()
            served = app(lambda request: StreamingService.sse("s", source), *wrappers)
            request = scope(headers=[GZIP])
            task = asyncio.create_task(served(request, client.receive, client.send))
            await client.until_body_has(b"data: first")
            for count in (1, 2):
                arrived.release()
                await client.until_body_has(b"data: true", count)
            client.gone.set()
            await task
            assert source.closes == 1

        run(main)

    @SOURCES
    def test_an_export_is_whole(self, wrappers: list[Middleware], source_class: Any) -> None:
        async def main() -> None:
            client = Client()
            served = app(
                lambda request: StreamingService.export("e", source_class(range(9999)), "ndjson"),
                *wrappers,
            )
            request = scope(headers=[GZIP])
            await served(request, client.receive, client.send)
            encoded = client.headers.get("Content-Encoding") == "gzip"
            body = gzip.decompress(client.body) if encoded else client.body
            assert body == b"".join(b"%d\n" % number for number in range(9999))

        run(main)

    @SOURCES
    def test_a_source_that_fails_midway_raises(
        self, wrappers: list[Middleware], source_class: Any
    ) -> None:
        async def main() -> None:
            client = Client()
            source = source_class([1, KeyError("midway")])
            served = app(lambda request: StreamingService.export("e", source, "json"), *wrappers)
            with pytest.raises(KeyError, match="midway"):
                await served(scope(), client.receive, client.send)
            assert source.closes == 1
            # Starlette's base class ends the body of whatever is behind it before it raises.
            classes: list[object] = [wrapper.cls for wrapper in wrappers]
            ends = PassThrough in classes
            assert client.sent[-1]["more_body"] is not ends

        run(main)


def test_a_source_that_fails_at_once_is_answered_by_the_exception_handler() -> None:
    async def no_rows(request: Request, error: Exception) -> Response:
        return PlainTextResponse("no rows", 410)

    served = Starlette(
        routes=[
            Route(
                "/", lambda request: StreamingService.export("e", SyncSource([KeyError()]), "csv")
            )
        ],
        exception_handlers={KeyError: no_rows},
    )
    response = get(served)
    assert (response.status, response.body) == (410, b"no rows")


def test_sync_streams_leave_starlettes_threads_to_others() -> None:
    """Two hundred of them, of which each blocks a thread; the shared limit is forty."""

    async def main() -> None:
        release = threading.Event()

        def live(request: Request) -> Response:
            return StreamingService.sse("s", SyncSource(["first", release.wait]))

        def plain(request: Request) -> Response:
            return PlainTextResponse("here")

        served = Starlette(routes=[Route("/live", live), Route("/plain", plain)])
        clients = [Client() for _ in range(200)]
        tasks = [
            asyncio.create_task(served(scope(path="/live"), each.receive, each.send))
            for each in clients
        ]
        for each in clients:
            await each.until_body_has(b"first")
        other = Client()
        await served(scope(path="/plain"), other.receive, other.send)
        assert other.body == b"here"
        release.set()
        await asyncio.gather(*tasks)

    run(main)


class TestMiddleware:
    def view(self, request: Request) -> Response:
        def source() -> Iterator[str]:
            seen = streamkit.context.get()
            yield f"{seen.method} {seen.last_event_id} {seen.tenant}"

        return StreamingService.sse("s", source())

    def test_the_middleware_sets_the_context(self, registry: CollectorRegistry) -> None:
        served = app(self.view)
        served.add_middleware(StreamkitMiddleware, tenant=lambda request: request.url.hostname)
        response = get(served, host="shop.test", last_event_id="7")
        assert response.body == b"data: GET 7 shop.test\n\n"
        labels = {"kind": "sse", "stream": "s", "tenant": "shop.test"}
        assert registry.get_sample_value("stream_elements_total", labels) == 1

    def test_the_tenant_may_come_from_the_session(self) -> None:
        def log_in(request: Request) -> Response:
            request.session["tenant"] = "north"
            return PlainTextResponse()

        served = Starlette(
            routes=[Route("/", self.view), Route("/log-in", log_in)],
            middleware=[
                Middleware(SessionMiddleware, secret_key="x"),
                Middleware(
                    StreamkitMiddleware, tenant=lambda request: request.session.get("tenant")
                ),
            ],
        )
        assert get(served).body == b"data: GET None system\n\n"
        cookie = get(served, "/log-in").headers["Set-Cookie"]
        assert get(served, cookie=cookie).body == b"data: GET None north\n\n"


class TestFastAPI:
    @SOURCES
    def test_a_dependency_stays_open_until_the_stream_is_over(self, source_class: Any) -> None:
        log: list[str] = []
        fast = FastAPI()

        class Session:
            open = True

        async def session() -> AsyncIterator[Session]:
            session = Session()
            try:
                yield session
            finally:
                session.open = False
                log.append("session closed")

        @fast.get("/")
        async def orders(session: Annotated[Session, Depends(session)]) -> StreamingResponse:
            source = source_class([lambda: session.open] * 5)
            close = source._shut

            def shut() -> None:
                log.append("source closed")
                close()

            source._shut = shut
            return StreamingService.export("orders", source, "ndjson")

        async def whole() -> None:
            client = Client()
            await fast(scope(), client.receive, client.send)
            assert client.body == b"true\n" * 5

        async def left() -> None:
            client = Client()

            async def send(event: Any) -> None:
                client.gone.set()
                raise OSError

            await fast(scope(), client.receive, send)

        run(whole)
        run(left)
        assert log == ["source closed", "session closed"] * 2

    def test_background_tasks_run_after_the_stream(self) -> None:
        fast = FastAPI()
        source = SyncSource([1])
        log: list[int] = []

        @fast.get("/")
        def orders(background: BackgroundTasks) -> StreamingResponse:
            background.add_task(lambda: log.append(source.closes))
            return StreamingService.export("orders", source, "ndjson")

        assert get(fast).body == b"1\n"
        assert log == [1]

    @pytest.mark.parametrize(
        ("response_class", "media_type"),
        [
            (EventStream, "text/event-stream"),
            (Download, "application/octet-stream"),
            (JSONExport, "application/json"),
            (CSVExport, "text/csv"),
            (NDJSONExport, "application/x-ndjson"),
        ],
    )
    def test_the_openapi_document_names_the_media_type(
        self, response_class: type[StreamingResponse], media_type: str
    ) -> None:
        fast = FastAPI()

        @fast.get("/orders", response_class=response_class)
        def orders() -> StreamingResponse:
            return StreamingService.export("orders", [1], "json")

        operation = fast.openapi()["paths"]["/orders"]["get"]
        assert list(operation["responses"]["200"]["content"]) == [media_type]
        assert get(fast, "/orders").body == b"[\n1\n]\n"

    def test_a_response_class_around_something_else_is_an_error_that_says_what_to_return(
        self,
    ) -> None:
        fast = FastAPI()

        @fast.get("/", response_class=CSVExport)
        def orders() -> Any:
            return [1]

        with pytest.raises(TypeError, match="CSVExport is made by StreamingService: return what"):
            get(fast)
