"""The ASGI adapter, driven by hand-written ``receive`` and ``send`` and asgiref's communicator."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from asgi_client import Client, run, scope
from asgiref.sync import iscoroutinefunction
from asgiref.testing import ApplicationCommunicator
from combinations import WAIT, AsyncSource, SyncSource
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import log, signals
from streamkit.loop import running_loop
from streamkit_adapters.asgi import StreamingService, StreamkitMiddleware

SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])


async def forever() -> None:
    await asyncio.Event().wait()


@SOURCES
def test_the_events_of_a_whole_response(source_class: Any) -> None:
    async def main() -> None:
        client = Client()
        response = StreamingService.export("e", source_class([1, 2]), "ndjson")
        await response(scope(), client.receive, client.send)
        assert [event["type"] for event in client.sent[:2]] == [
            "http.response.start",
            "http.response.body",
        ]
        assert client.sent[0]["status"] == 200
        assert (b"content-type", b"application/x-ndjson") in client.sent[0]["headers"]
        assert client.body == b"1\n2\n"
        assert [event["more_body"] for event in client.sent[1:]] == [True] * (
            len(client.sent) - 2
        ) + [False]

    run(main)


@SOURCES
def test_an_empty_download_is_complete(source_class: Any) -> None:
    async def main() -> None:
        client = Client()
        response = StreamingService.download(source_class([]), filename="empty", size=0)
        await response(scope(), client.receive, client.send)
        assert [event["type"] for event in client.sent] == [
            "http.response.start",
            "http.response.body",
        ]
        assert not client.sent[-1]["more_body"]

    run(main)


@SOURCES
def test_head_is_answered_without_starting_the_source(source_class: Any) -> None:
    async def main() -> None:
        client = Client()
        source = source_class([1])
        await StreamingService.sse("s", source)(scope("HEAD"), client.receive, client.send)
        assert (b"content-type", b"text/event-stream") in client.sent[0]["headers"]
        assert client.body == b""
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        assert (source.given, source.closes) == (0, 1)

    run(main)


def test_an_open_stream_keeps_nothing_that_is_done_with() -> None:
    """Neither the response, nor what the server was asked and told, nor an event that was sent."""

    class Event:
        def __init__(self, text: str) -> None:
            self.text = text

    class Message(dict[str, object]):
        pass

    noted: list[weakref.ref[object]] = []

    def note(value: Any) -> Any:
        noted.append(weakref.ref(value))
        return value

    async def events() -> AsyncIterator[Event]:
        yield note(Event("first"))
        await client.until_body_has(b"first")
        yield note(Event("by itself"))
        await forever()

    async def main() -> None:
        client.requests = [note(Message(type="http.request", body=b"", more_body=False))]
        response = note(StreamingService.sse("s", events(), lambda event: event.text))
        note(response.headers)
        answering = asyncio.create_task(response(scope(), client.receive, client.send))
        del response
        await client.until_body_has(b"by itself")
        gc.collect()
        assert [reference() for reference in noted] == [None] * 5
        client.gone.set()
        await answering

    client = Client()
    run(main)


def test_a_response_is_known_as_an_application_of_asgi_3() -> None:
    async def main() -> None:
        response = StreamingService.export("e", [1], "ndjson")
        communicator = ApplicationCommunicator(response, scope())
        await communicator.send_input({"type": "http.request"})
        assert (await communicator.receive_output(WAIT))["status"] == 200
        await communicator.wait(WAIT)

    assert iscoroutinefunction(StreamingService.export("e", [], "ndjson").__call__)
    run(main)


def test_the_head_of_a_silent_live_stream_goes_out_with_an_early_heartbeat() -> None:
    async def main() -> None:
        client = Client()
        response = StreamingService.sse("s", AsyncSource([forever]))
        task = asyncio.create_task(response(scope(), client.receive, client.send))
        await client.until(lambda: len(client.sent) == 2)
        assert client.body == b": heartbeat\n\n"
        client.gone.set()
        await task

    run(main)


@SOURCES
def test_a_source_that_fails_at_once_fails_before_the_head(source_class: Any) -> None:
    async def main() -> None:
        client = Client()
        response = StreamingService.export("e", source_class([KeyError("column")]), "csv")
        with pytest.raises(KeyError, match="column"):
            await response(scope(), client.receive, client.send)
        assert client.sent == []

    run(main)


@SOURCES
def test_a_source_that_fails_midway_leaves_the_body_open(source_class: Any) -> None:
    async def main() -> None:
        client = Client()
        error = RuntimeError("midway")
        response = StreamingService.export("e", source_class([1, error]), "json")
        with pytest.raises(RuntimeError) as raised:
            await response(scope(), client.receive, client.send)
        assert raised.value is error
        assert client.body == b"[\n1"
        assert client.sent[-1]["more_body"]

    run(main)


class TestTheClientLeaves:
    def test_a_client_that_leaves_an_idle_stream_closes_its_source(
        self, registry: CollectorRegistry
    ) -> None:
        async def main() -> None:
            client = Client()
            source = AsyncSource(["one", forever])
            response = StreamingService.sse("s", source)
            task = asyncio.create_task(response(scope(), client.receive, client.send))
            await client.until(lambda: b"one" in client.body)
            client.gone.set()
            await task
            assert source.closes == 1
            assert client.sent[-1]["more_body"]

        run(main)
        labels = {"kind": "sse", "stream": "s", "tenant": "system"}
        assert (
            registry.get_sample_value("stream_closed_total", labels | {"outcome": "disconnected"})
            == 1
        )
        assert registry.get_sample_value("stream_active", labels) == 0

    @SOURCES
    def test_a_client_that_leaves_a_busy_stream_closes_its_source(self, source_class: Any) -> None:
        async def main() -> None:
            client = Client()
            source = source_class(range(10**9))
            response = StreamingService.export("e", source, "ndjson")
            task = asyncio.create_task(response(scope(), client.receive, client.send))
            await client.until(lambda: len(client.sent) > 10)
            given = source.given
            client.gone.set()
            await task
            assert source.closes == 1
            assert source.given - given < 1000

        run(main)

    @SOURCES
    def test_an_oserror_of_send_is_a_disconnect(self, source_class: Any) -> None:
        """As ASGI HTTP 2.4 has it: ``send`` raises an OSError."""

        async def send(event: Any) -> None:
            if event["type"] == "http.response.body":
                raise ConnectionResetError

        async def main() -> None:
            client = Client(send)
            source = source_class(range(10**9))
            response = StreamingService.export("e", source, "ndjson")
            await response(scope(), client.receive, client.send)
            assert source.closes == 1
            assert len(client.sent) == 1

        run(main)

    def test_an_oserror_of_the_source_is_no_disconnect(self) -> None:
        async def main() -> None:
            client = Client()
            response = StreamingService.download(
                AsyncSource([b"1", ConnectionResetError("by the store")]), filename="f"
            )
            with pytest.raises(ConnectionResetError, match="by the store"):
                await response(scope(), client.receive, client.send)

        run(main)

    def test_a_server_that_cancels_the_application_closes_the_source(self) -> None:
        async def main() -> None:
            client = Client()
            source = AsyncSource(["one", forever])
            response = StreamingService.sse("s", source)
            task = asyncio.create_task(response(scope(), client.receive, client.send))
            await client.until(lambda: b"one" in client.body)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert source.closes == 1

        run(main)


def test_an_error_of_receive_is_not_one_of_the_response(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Departures are not seen then, which is said once."""
    monkeypatch.setattr(log, "_said", set())

    async def receive() -> Any:
        raise ZeroDivisionError

    async def main() -> None:
        for _ in range(2):
            client = Client()
            source = AsyncSource(["one", "two"])
            await StreamingService.sse("s", source)(scope(), receive, client.send)
            assert client.body == b"data: one\n\ndata: two\n\n"
            assert source.closes == 1

    run(main)
    assert [r.message for r in caplog.records if "departures" in r.message] == [
        "departures of clients are not seen, since receive() raised ZeroDivisionError"
    ]


def test_a_receive_that_always_has_an_answer_does_not_keep_the_loop() -> None:
    """As middleware gives a body that it has read again."""
    answers = 0

    async def receive() -> Any:
        nonlocal answers
        answers += 1
        return {"type": "http.request", "body": b"again", "more_body": False}

    async def pause() -> str:
        await asyncio.sleep(0.05)
        return "event"

    async def main() -> None:
        client = Client()
        source = AsyncSource([pause] * 4)
        await StreamingService.sse("s", source)(scope(), receive, client.send)
        assert client.body.count(b"data: event") == 4

    run(main)
    assert answers < 100


@pytest.mark.parametrize("event", ["http.response.start", "http.response.body"])
@SOURCES
def test_a_response_is_cancelled_though_send_keeps_that_to_itself(
    source_class: Any, event: str
) -> None:
    """As ``wait_for`` of Python 3.11 does that returns what came at the same moment."""

    async def main() -> None:
        async def send(message: Any) -> None:
            if message["type"] == event and not sending.is_set():
                sending.set()
                with suppress(asyncio.CancelledError):
                    await forever()

        sending, silent = asyncio.Event(), threading.Event()
        source = source_class([1, forever if source_class is AsyncSource else silent.wait])
        response = StreamingService.export("e", source, "ndjson")
        task = asyncio.create_task(response(scope(), Client().receive, send))
        await sending.wait()
        task.cancel()
        silent.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(source.closed.wait, WAIT)
        assert source.closes == 1

    run(main)


@pytest.mark.parametrize(
    "raised", [None, OSError(), ZeroDivisionError(), ExceptionGroup("", [OSError()])]
)
@SOURCES
def test_a_response_ends_whatever_send_makes_of_being_given_up(
    source_class: Any, raised: Exception | None
) -> None:
    """A task group raises what failed in it instead. The task goes on as if it had not been
    cancelled.
    """

    async def main() -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                client.gone.set()
                try:
                    await forever()
                except asyncio.CancelledError:
                    if raised is not None:
                        raise raised from None

        client = Client(send)
        source = source_class(range(1000))
        response = StreamingService.export("e", source, "ndjson")
        await response(scope(), client.receive, client.send)
        assert await asyncio.to_thread(source.closed.wait, WAIT)
        assert source.closes == 1
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main)


@pytest.mark.parametrize("fails", [True, False])
@SOURCES
def test_a_response_ends_whatever_receive_makes_of_being_cancelled(
    source_class: Any, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A task group raises what failed in it, and ``wait_for`` of Python 3.11 returns what came at
    the same moment.
    """
    asked = 0

    async def receive() -> Any:
        nonlocal asked
        asked += 1
        try:
            await forever()
        except asyncio.CancelledError:
            if asked > 1:
                raise
            if fails:
                raise ZeroDivisionError from None
        return {"type": "http.request", "body": b"", "more_body": False}

    async def main() -> None:
        client = Client()
        source = source_class([1, 2])
        response = StreamingService.export("e", source, "ndjson")
        await response(scope(), receive, client.send)
        assert client.body == b"1\n2\n"
        assert source.closes == 1

    run(main)
    assert asked == 1
    assert caplog.messages == []


def test_a_response_ends_though_receive_does_not() -> None:
    async def receive() -> Any:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        return {"type": "http.disconnect"}

    async def main() -> None:
        client = Client()
        response = StreamingService.export("e", AsyncSource([1, 2]), "ndjson")
        try:
            await asyncio.wait_for(response(scope(), receive, client.send), WAIT / 2)
        finally:
            released.set()
        assert client.body == b"1\n2\n"
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    released = asyncio.Event()
    run(main)


async def body_of(receive: Any) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


@pytest.mark.parametrize("middleware", [True, False])
def test_a_source_may_read_the_body_of_its_request(middleware: bool) -> None:
    """An upload that is transformed, say."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def rows() -> AsyncIterator[Any]:
            yield {"bytes": sum([len(part) async for part in body_of(receive)])}

        await StreamingService.export("e", rows(), "ndjson")(scope, receive, send)

    assert upload(StreamkitMiddleware(app) if middleware else app) == b'{"bytes":20}\n'


def test_a_source_may_read_the_body_of_its_request_as_it_goes() -> None:
    """Which the middleware notes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        pieces = body_of(receive)
        await StreamingService.download(pieces, filename="f")(scope, receive, send)

    assert upload(StreamkitMiddleware(app)) == b"12345" * 4


def upload(app: Any) -> bytes:
    """What is answered to a body in four parts, each of which comes when the one before is read."""

    async def main() -> None:
        await app(scope("POST"), receive, client.send)

    async def receive() -> Any:
        await asyncio.sleep(0)
        if not parts:
            await asyncio.Event().wait()
        more = parts.pop()
        return {"type": "http.request", "body": b"12345", "more_body": more}

    parts = [False, True, True, True]
    client = Client()
    run(main)
    return client.body


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("middleware", [True, False])
def test_a_client_that_posts_is_seen_to_leave(middleware: bool, is_read: bool) -> None:
    """Whether the view has read the body or nobody ever does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if is_read:
            assert [part async for part in body_of(receive)] == [b""]
        await StreamingService.sse("s", source)(scope, receive, send)

    async def main() -> None:
        task = asyncio.create_task(served(scope("POST"), client.receive, client.send))
        await client.until_body_has(b"one")
        client.gone.set()
        await task

    client = Client()
    source = AsyncSource(["one", forever])
    served: Any = StreamkitMiddleware(app) if middleware else app
    run(main)
    assert source.closes == 1


def test_the_application_returns_though_its_source_is_inside_its_own_code() -> None:
    release = threading.Event()
    source = SyncSource(["one", release.wait])

    async def main() -> None:
        client = Client()
        response = StreamingService.sse("s", source)
        task = asyncio.create_task(response(scope(), client.receive, client.send))
        await client.until_body_has(b"one")
        client.gone.set()
        await task

    run(main)
    assert source.closes == 0
    release.set()
    assert source.closed.wait(WAIT)


def test_a_request_whose_body_nobody_read_is_answered() -> None:
    async def main() -> None:
        client = Client()
        client.requests = [{"type": "http.request", "body": b"x", "more_body": True}] * 3
        response = StreamingService.export("e", [1], "ndjson")
        await response(scope("POST"), client.receive, client.send)
        assert client.body == b"1\n"

    run(main)


def test_asgirefs_communicator_reads_a_live_stream() -> None:
    async def main() -> None:
        app: Any = StreamingService.sse("s", AsyncSource(["one", forever]))
        communicator = ApplicationCommunicator(app, scope())
        await communicator.send_input({"type": "http.request"})
        assert (await communicator.receive_output())["type"] == "http.response.start"
        assert (await communicator.receive_output())["body"] == b"data: one\n\n"
        await communicator.send_input({"type": "http.disconnect"})
        await communicator.wait()

    run(main)


class TestMiddleware:
    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        async def source() -> AsyncIterator[str]:
            seen = streamkit.context.get()
            yield f"{seen.method} {seen.headers['Host']} {seen.last_event_id} {seen.tenant}"

        await StreamingService.sse("s", source())(scope, receive, send)

    @pytest.mark.parametrize(
        ("tenant", "body"),
        [
            (None, b"data: GET shop.test 7 system\n\n"),
            (lambda scope: scope["path"], b"data: GET shop.test 7 /\n\n"),
        ],
        ids=["default", "callable"],
    )
    def test_the_middleware_sets_the_context(self, tenant: Any, body: bytes) -> None:
        async def main() -> None:
            client = Client()
            headers = [(b"host", b"shop.test"), (b"last-event-id", b"7"), (b"x-tenant", b"evil")]
            middleware = StreamkitMiddleware(self.app, tenant=tenant)
            await middleware(scope(headers=headers), client.receive, client.send)
            assert client.body == body

        run(main)

    def test_the_middleware_lets_other_protocols_pass(self) -> None:
        passed = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            passed.append(scope["type"])

        async def main() -> None:
            client = Client()
            lifespan: Any = {"type": "lifespan"}
            await StreamkitMiddleware(app)(lifespan, client.receive, client.send)

        run(main)
        assert passed == ["lifespan"]

    @pytest.mark.parametrize("outcome", ["complete", "failed"])
    def test_what_is_to_be_done_at_the_end_is_done_behind_the_lifespan(
        self, outcome: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[Any] = []
        last = {lambda: done.append(running_loop()): None}
        monkeypatch.setattr(signals, "_very_last", last)
        event = {"type": f"lifespan.shutdown.{outcome}"}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "lifespan.startup.complete"})
            done.append("of the application")
            await send(event)

        async def send(event: Any) -> None:
            done.append(event)

        async def main() -> None:
            lifespan: Any = {"type": "lifespan"}
            await StreamkitMiddleware(app)(lifespan, Client().receive, send)

        run(main)
        # Not on the loop, as it may wait for something.
        assert done == [{"type": "lifespan.startup.complete"}, "of the application", None, event]

    @pytest.mark.parametrize("what", ["is begun while all threads work", "fails", "has no thread"])
    def test_the_lifespan_ends_though_what_is_to_be_done_then(
        self, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        done: list[Any] = []

        def finish() -> None:
            done.append("finished")
            if what == "fails":
                raise OSError("no space left")

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(signals, "_very_last", {finish: None})
        event = {"type": "lifespan.shutdown.complete"}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(event)

        async def send(event: Any) -> None:
            done.append(event)

        async def main() -> None:
            loop, release = asyncio.get_running_loop(), threading.Event()
            loop.set_default_executor(ThreadPoolExecutor(1))
            working = loop.run_in_executor(None, release.wait)
            if what == "has no thread":
                monkeypatch.setattr(threading.Thread, "start", start)
            lifespan: Any = {"type": "lifespan"}
            try:
                await StreamkitMiddleware(app)(lifespan, Client().receive, send)
            finally:
                monkeypatch.undo()
                release.set()
                await working

        run(main)
        assert done == ([event] if what == "has no thread" else ["finished", event])
        said = {"fails": "no space left", "has no thread": "can't start new thread"}.get(what)
        assert [said is not None and said in message for message in caplog.messages] == (
            [True] if said else []
        )


def test_a_tenant_that_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="tenant must be a function .* or None, got 'acme'"):
        StreamkitMiddleware(lambda *arguments: None, tenant="acme")  # type: ignore[arg-type]
