"""The test kit: in the four combinations of source and client, over each protocol."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any
from urllib.parse import unquote

import pytest
from combinations import WAIT, AsyncSource, SyncSource

import streamkit
from streamkit import ServerSentEvent, StreamingService, testing
from streamkit.loop import running_loop
from streamkit.testing import Event, aconnect, connect
from streamkit.testing.row_decoder import RowDecoder
from streamkit_adapters import asgi, wsgi

Scenario = Callable[[Any], Awaitable[None]]
Drive = Callable[..., None]


class Awaited:
    """A sync client whose methods can be awaited, so that one scenario serves both."""

    def __init__(self, client: testing.Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not callable(member):
            return member

        async def call(*arguments: Any) -> Any:
            return member(*arguments)

        return call


def in_sync_test(target: Any, scenario: Scenario, path: str = "/", **headers: str) -> None:
    with connect(target, path, headers=headers) as client:
        scene: Any = scenario(Awaited(client))
        with pytest.raises(StopIteration):
            scene.send(None)


def in_async_test(target: Any, scenario: Scenario, path: str = "/", **headers: str) -> None:
    async def main() -> None:
        async with aconnect(target, path, headers=headers) as client:
            await scenario(client)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


CLIENTS = pytest.mark.parametrize("drive", [in_sync_test, in_async_test])
SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
SERVICES = pytest.mark.parametrize(
    "service",
    [StreamingService, wsgi.StreamingService, asgi.StreamingService],
    ids=["neutral", "wsgi", "asgi"],
)


def held(source_class: Any, release: threading.Event) -> Callable[[], Any]:
    """An element that comes when ``release`` is set."""

    def element() -> Any:
        if source_class is AsyncSource:
            return asyncio.to_thread(release.wait, WAIT)
        return release.wait(WAIT)

    return element


async def happened(event: threading.Event) -> None:
    """It was set, by another thread or a task of this loop."""
    if running_loop() is None:
        assert event.wait(WAIT)
    else:
        assert await asyncio.to_thread(event.wait, WAIT)


async def missed(call: Awaitable[Any], error: type[Exception]) -> str:
    """What the ``error`` says that ``call`` raises."""
    with pytest.raises(error) as raised:
        await call
    return str(raised.value)


@SERVICES
@SOURCES
@CLIENTS
class TestEverywhere:
    def test_a_client_reads_events_comments_and_the_head(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        source = source_class(
            [
                ServerSentEvent("a", event="tick", id="1"),
                ServerSentEvent("b", comment="note"),
                ServerSentEvent("c\nd", id="2"),
            ]
        )

        async def scenario(client: Any) -> None:
            assert client.status == 200
            assert client.headers["content-type"] == "text/event-stream"
            assert await client.event() == Event("a", "tick", "1")
            assert await client.event() == Event("b", "message", "1")
            assert await client.event() == Event("c\nd", "message", "2")
            # It was passed over, and is still there.
            assert await client.comment() == "note"
            assert (await client.read()).startswith(b"event: tick\nid: 1\ndata: a\n\n")
            await client.assert_source_closed()

        drive(service.sse("s", source), scenario)
        assert source.closes == 1

    @pytest.mark.parametrize(
        ("format", "rows"),
        [
            ("ndjson", [{"a": 1}, {"a": None}]),
            ("json", [{"a": 1}, {"a": None}]),
            ("csv", [["a"], ["1"], [""]]),
        ],
    )
    def test_a_client_reads_rows(
        self, drive: Drive, source_class: Any, service: Any, format: Any, rows: list[Any]
    ) -> None:
        source = source_class([{"a": 1}, {"a": None}])

        async def scenario(client: Any) -> None:
            assert [await client.row() for _ in rows] == rows
            assert "no row: the response has ended" in await missed(client.row(), AssertionError)

        drive(service.export("e", source, format), scenario)

    def test_a_client_reads_chunks_and_the_rest(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        large = b"x" * 70_000

        async def scenario(client: Any) -> None:
            assert client.headers["Content-Length"] == "140003"
            assert await client.chunk() == large
            assert await client.read() == large + b"end"
            assert await client.read() == b""

        source = source_class([large, large, b"end"])
        drive(service.download(source, filename="f", size=140_003), scenario)

    def test_a_client_raises_what_the_source_raises(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        error = KeyError("midway")

        async def scenario(client: Any) -> None:
            assert await client.row() == 1
            with pytest.raises(KeyError) as raised:
                await client.row()
            assert raised.value is error
            await client.assert_source_closed()

        drive(service.export("e", source_class([1, error]), "ndjson"), scenario)

    def test_connecting_raises_what_the_source_raises_before_there_is_a_head(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        async def scenario(client: Any) -> None:
            raise AssertionError("there is no response")

        source = source_class([KeyError("at once")])
        with pytest.raises(KeyError, match="at once"):
            drive(service.export("e", source, "json"), scenario)
        assert source.closes == 1

    def test_an_event_that_does_not_come_in_time_may_come_later(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        release = threading.Event()

        async def scenario(client: Any) -> None:
            assert await client.event() == Event("first")
            for _ in range(2):
                assert await missed(client.event(0.01), TimeoutError) == (
                    "no event within 0.01 s. 200 text/event-stream, of which 13 bytes have "
                    "arrived: b'data: first\\n\\n'"
                )
            assert "no end within 0 s" in await missed(client.read(0), TimeoutError)
            release.set()
            assert await client.event() == Event("true")

        drive(service.sse("s", source_class(["first", held(source_class, release)])), scenario)

    def test_the_source_has_begun_when_the_client_is_connected(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        release, begun = threading.Event(), threading.Event()

        def begin() -> Any:
            begun.set()
            return held(source_class, release)()

        async def scenario(client: Any) -> None:
            assert begun.is_set()
            release.set()
            assert await client.event() == Event("true")

        drive(service.sse("s", source_class([begin])), scenario)

    def test_a_client_reads_the_heartbeats_that_it_asks_for(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        release = threading.Event()

        async def scenario(client: Any) -> None:
            assert await client.event() == Event("first")
            for _ in range(3):
                await client.heartbeat()
            assert "no comment within" in await missed(client.comment(0.01), TimeoutError)
            release.set()
            assert await client.read() == (
                b"data: first\n\n" + b": heartbeat\n\n" * 3 + b"data: true\n\n"
            )
            assert "the response has ended" in await missed(client.heartbeat(), AssertionError)

        drive(service.sse("s", source_class(["first", held(source_class, release)])), scenario)

    def test_a_client_that_does_not_read_is_a_slow_one(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        release, over = threading.Event(), threading.Event()
        source = source_class(["first", held(source_class, release), *range(1000)])
        close = source._shut

        def shut() -> None:
            close()
            over.set()

        source._shut = shut

        async def scenario(client: Any) -> None:
            assert await client.event() == Event("first")
            release.set()
            await happened(over)
            first = await client.event()
            dropped = int((await client.comment()).removeprefix("dropped "))
            assert first == Event(str(1000 - 64))
            assert dropped == 1001 - 64
            assert [(await client.event()).data for _ in range(63)] == [
                str(number) for number in range(1000 - 63, 1000)
            ]

        drive(service.sse("s", source), scenario)

    def test_a_client_sees_the_end_of_the_process(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        release = threading.Event()

        async def scenario(client: Any) -> None:
            await client.event()
            await client.shutdown()
            assert re.fullmatch(rb"data: first\n\nretry: [0-9]+\n\n", await client.read())
            release.set()
            await client.assert_source_closed()

        drive(service.sse("s", source_class(["first", held(source_class, release)])), scenario)

    def test_an_export_survives_the_end_of_the_process(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        async def scenario(client: Any) -> None:
            await client.shutdown()
            assert await client.read() == b"1\n2\n"

        drive(service.export("e", source_class([1, 2]), "ndjson"), scenario)

    def test_a_client_that_leaves_closes_the_source(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        source = source_class(repeat("event"))

        async def scenario(client: Any) -> None:
            await client.event()
            await client.disconnect()
            await client.assert_source_closed()
            assert await client.read() != b""
            assert "no chunk: the client has disconnected" in await missed(
                client.chunk(), AssertionError
            )

        drive(service.sse("s", source), scenario)
        assert source.closes == 1

    def test_a_source_that_is_not_closed_is_an_error_that_says_so(
        self, drive: Drive, source_class: Any, service: Any
    ) -> None:
        release = threading.Event()

        async def scenario(client: Any) -> None:
            await client.event()
            assert (await missed(client.assert_source_closed(0.01), AssertionError)).startswith(
                "the source is not closed: the response goes on. 200 text/event-stream, of which"
            )
            release.set()

        drive(service.sse("s", source_class(["first", held(source_class, release)])), scenario)


def wsgi_app(environ: Any, start_response: Any) -> Any:
    path = environ["PATH_INFO"].encode("latin-1").decode()
    line = f"{path}?{environ['QUERY_STRING']} {environ['HTTP_HOST']}"
    seen = streamkit.context.get().last_event_id
    return wsgi.StreamingService.sse("s", [f"{line} {seen}"])(environ, start_response)


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    assert unquote(scope["raw_path"].decode("ascii")) == scope["path"]
    host = dict(scope["headers"])[b"host"].decode()
    line = f"{scope['path']}?{scope['query_string'].decode()} {host}"
    seen = streamkit.context.get().last_event_id
    await asgi.StreamingService.sse("s", [f"{line} {seen}"])(scope, receive, send)


@CLIENTS
@pytest.mark.parametrize(
    "app",
    [
        wsgi.StreamkitMiddleware(wsgi_app),
        asgi.StreamkitMiddleware(asgi_app),
        lambda scope, receive, send: asgi.StreamkitMiddleware(asgi_app)(scope, receive, send),
    ],
    ids=["wsgi", "asgi", "asgi-function"],
)
class TestApps:
    def test_path_and_query_of_the_request_reach_the_app(self, drive: Drive, app: Any) -> None:
        async def scenario(client: Any) -> None:
            assert await client.event() == Event("/à la/carte?q=1&r=%20 testserver None")

        drive(app, scenario, "/%C3%A0%20la/carte?q=1&r=%20")

    def test_headers_of_the_request_reach_the_app(self, drive: Drive, app: Any) -> None:
        async def scenario(client: Any) -> None:
            assert await client.event() == Event("/? shop.test 7")

        drive(app, scenario, **{"Last-Event-ID": "7", "Host": "shop.test"})


@CLIENTS
class TestOtherResponses:
    def test_a_page_is_no_stream(self, drive: Drive) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            start_response("404 Not Found", [("Content-Type", "text/html; charset=utf-8")])
            return [b"<h1>No ", b"", b"such page</h1>"]

        async def scenario(client: Any) -> None:
            assert client.status == 404
            page = "404 text/html, of which 7 bytes have arrived: b'<h1>No '"
            for call in (client.event, client.comment):
                assert await missed(call(), AssertionError) == (
                    f"events and comments are read from text/event-stream: this is {page}"
                )
            assert await missed(client.row(), AssertionError) == (
                "rows are read from application/json, application/x-ndjson, text/csv: "
                f"this is {page}"
            )
            assert await missed(client.heartbeat(), AssertionError) == (
                f"no heartbeat: only streams of sse have one. {page}"
            )
            assert await missed(client.assert_source_closed(), AssertionError) == (
                f"no source: the response is no stream. {page}"
            )
            assert await client.read() == b"<h1>No such page</h1>"

        drive(app, scenario)

    def test_the_errors_of_an_empty_response_say_that_nothing_arrived(self, drive: Drive) -> None:
        async def scenario(client: Any) -> None:
            assert "200 text/plain, of which nothing has arrived" in await missed(
                client.row(), AssertionError
            )
            assert await missed(client.chunk(), AssertionError) == (
                "no chunk: the response has ended. 200 text/plain, of which nothing has arrived"
            )

        drive(StreamingService.download([], filename="f.txt"), scenario)

    def test_an_error_shows_the_end_of_a_long_response(self, drive: Drive) -> None:
        async def scenario(client: Any) -> None:
            await client.read()
            message = await missed(client.chunk(), AssertionError)
            assert message.endswith(f"1001 bytes have arrived: ...b'{'x' * 299}y'")

        drive(StreamingService.download([b"x" * 1000, b"y"], filename="f"), scenario)

    def test_a_compressed_response_is_read_as_it_is(self, drive: Drive) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            assert environ["HTTP_ACCEPT_ENCODING"] == "gzip"
            start_response("200 OK", [("Content-Type", "text/csv"), ("Content-Encoding", "gzip")])
            return [b"\x1f\x8b"]

        async def scenario(client: Any) -> None:
            assert "this is 200 text/csv (gzip), of which 2 bytes" in await missed(
                client.row(), AssertionError
            )
            assert await client.read() == b"\x1f\x8b"

        drive(app, scenario, **{"Accept-Encoding": "gzip"})

    def test_what_an_app_writes_is_read(self, drive: Drive) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            write = start_response("200 OK", [])
            write(b"written, ")
            return [b"returned"]

        async def scenario(client: Any) -> None:
            assert await client.read() == b"written, returned"

        drive(app, scenario)


class TestBrokenApps:
    async def nothing(self, client: Any) -> None:
        raise AssertionError("there is no response")

    @CLIENTS
    def test_an_app_that_does_not_respond_is_an_error(self, drive: Drive) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            pass

        with pytest.raises(AssertionError, match="the app returned before the end of its response"):
            drive(app, self.nothing)

    @CLIENTS
    def test_an_app_that_has_no_head_is_an_error(self, drive: Drive) -> None:
        with pytest.raises(AssertionError, match="the app returned without a response"):
            drive(lambda environ, start_response: [], self.nothing)

    @CLIENTS
    def test_an_app_that_takes_too_long_is_an_error(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.testing.client.TIMEOUT", 0.01)
        release = threading.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.to_thread(release.wait, 0.1)

        with pytest.raises(TimeoutError, match="no head of a response within 0.01 s"):
            drive(app, self.nothing)

    @CLIENTS
    def test_an_app_that_goes_on_without_its_client_is_an_error(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.testing.asgi_server.MAX_LEAVING", 0.01)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": False})
            await asyncio.Event().wait()

        async def scenario(client: Any) -> None:
            assert await client.read() == b"a"

        with pytest.raises(AssertionError, match="the app still ran 0.01 s after its client"):
            drive(app, scenario)

    @CLIENTS
    def test_the_error_of_an_app_whose_response_has_ended_is_raised(self, drive: Drive) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a"})
            raise KeyError("too late")

        async def scenario(client: Any) -> None:
            assert await client.read() == b"a"

        with pytest.raises(KeyError, match="too late"):
            drive(app, scenario)

    @CLIENTS
    def test_an_app_need_not_catch_what_send_raises(self, drive: Drive) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"a", "more_body": True})

        async def scenario(client: Any) -> None:
            assert await client.chunk() == b"a"

        drive(app, scenario)


@SERVICES
def test_a_sync_test_runs_an_inline_source_on_its_own_thread(service: Any) -> None:
    source = SyncSource(["a", "b"])
    response = service.sse("s", streamkit.inline(source))
    if service is asgi.StreamingService:
        with pytest.raises(RuntimeError, match="inline source cannot be streamed under ASGI"):
            connect(response).__enter__()
        return
    with connect(response) as client:
        assert [client.event().data for _ in range(2)] == ["a", "b"]
    assert source.places == {threading.current_thread()}


def test_an_async_test_and_its_async_source_share_a_loop() -> None:
    """So that the one may tell the other what happens."""

    async def main() -> None:
        happens = asyncio.Event()

        async def source() -> Any:
            await happens.wait()
            yield "it happened"

        async with aconnect(asgi.StreamingService.sse("s", source())) as client:
            happens.set()
            assert await client.event() == Event("it happened")

    asyncio.run(main())


@pytest.mark.parametrize("target", [None, "ticks", [b"chunk"], 7])
@pytest.mark.parametrize("make", [connect, aconnect])
def test_what_is_no_app_and_no_response_is_refused(make: Any, target: Any) -> None:
    expected = f"to a WSGI or ASGI app, or to a response, not to {type(target).__name__}"
    with pytest.raises(TypeError, match=expected):
        make(target)


def test_a_sync_client_would_block_an_async_test() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="is connected by 'async with aconnect"):
            connect(StreamingService.sse("s", [])).__enter__()

    asyncio.run(main())


ROWS: list[tuple[str, str, list[Any]]] = [
    ("application/json", "[]", []),
    (
        "application/json",
        ' [ 1 , [2,[3]] ,"],{" ,{"a":[4]}, null ] ',
        [1, [2, [3]], "],{", {"a": [4]}, None],
    ),
    ("application/json", "[12", []),
    ("application/json", '[1,"abc', [1]),
    ("application/x-ndjson", '{"a":1}\n"\u2028"\n3', [{"a": 1}, "\u2028"]),
    ("text/csv", 'a,b\r\n1,"x\r\ny"\r\n', [["a", "b"], ["1", "x\r\ny"]]),
    ("text/csv", '"say ""yes"", no",\n"', [['say "yes", no', ""]]),
    ("text/csv", "à\n", [["à"]]),
]


@pytest.mark.parametrize(("media_type", "text", "rows"), ROWS)
@pytest.mark.parametrize("step", [1, 1000])
def test_rows_are_given_when_they_are_whole(
    media_type: str, text: str, rows: list[Any], step: int
) -> None:
    decoder = RowDecoder(media_type)
    body = text.encode()
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    assert [row for chunk in chunks for row in decoder.feed(chunk)] == rows
