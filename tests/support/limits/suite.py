"""What is true of a request for a stream in every adapter."""

import asyncio
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import repeat
from typing import Any

import asgi_client
import pytest
from combinations import WAIT, AsyncSource, SyncSource, let_stall, outcomes, value, wait_until
from downloads.clients import Answer, ask_asgi, ask_wsgi
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

import streamkit
from limits.channels import ChannelSuite
from streamkit import NothingMore, signals
from streamkit.testing import Client, connect

__all__ = ["AsyncSuite", "Suite", "View"]

View = Callable[[Any], Any]
"""Makes a response of an adapter's service."""

EVENT_SOURCE = {"Accept": "text/event-stream", "Cache_Control": "no-cache"}
"""The headers that the standard has a browser's EventSource send."""

SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])


class Suite(ChannelSuite, ABC):
    is_async: bool

    @abstractmethod
    def serve(
        self,
        view: View,
        *,
        max_streams: int | None = None,
        tenant: str | None = None,
        nested: bool = False,
    ) -> AbstractContextManager[Callable[..., Any]]:
        """An application whose middleware lets in so many streams of the view at a time.

        ``nested`` is with a second middleware inside of that one, which has nothing to say.
        """

    def ask(self, app: Any, method: str = "GET", **headers: str) -> Answer:
        named = Headers({name.replace("_", "-"): text for name, text in headers.items()})
        return (ask_asgi if self.is_async else ask_wsgi)(app, method, named, sends_files=False)

    def wrap(self, response: Any) -> Any:
        """The response, with an iterator around its body if the framework's responses have one."""
        return response

    @pytest.fixture
    def clients(self) -> Iterator[ExitStack]:
        """Those that are still connected leave at the end."""
        with ExitStack() as clients:
            yield clients

    @pytest.fixture
    def _shut_down(self) -> Iterator[None]:
        streamkit.shutdown()
        yield
        signals._forget()

    def connected(self, clients: ExitStack, app: Any) -> Client:
        client = clients.enter_context(connect(app))
        assert client.status == 200
        return client

    @SOURCES
    def test_a_stream_more_than_are_let_in_is_told_to_come_back(
        self, source_class: Any, registry: CollectorRegistry, clients: ExitStack
    ) -> None:
        release = threading.Event()
        sources = [source_class(["event", *waits(source_class, release)]) for _ in range(3)]
        waiting = iter(sources)
        with self.serve(lambda s: s.sse("s", next(waiting)), max_streams=2) as app:
            for _ in range(2):
                self.connected(clients, app)
            with connect(app) as client:
                assert_rejected(Answer(client.status, client.headers, client.read()))
            assert sources[2].closed.wait(WAIT)
            assert (sources[2].given, sources[2].closes) == (0, 1)
            assert value(registry, "stream_rejected_total", kind="sse", stream="s") == 1
            assert value(registry, "stream_active") == 2
            assert value(registry, "stream_closed_total") == 0
            release.set()

    def test_a_client_that_leaves_makes_room(self, clients: ExitStack) -> None:
        with self.serve(
            lambda s: s.sse("s", AsyncSource(["event", forever])), max_streams=1
        ) as app:
            for _ in range(3):
                client = self.connected(clients, app)
                assert self.ask(app).status == 503
                client.disconnect()
                client.assert_source_closed()

    def test_a_stream_that_ends_makes_room(self) -> None:
        with self.serve(lambda s: s.export("e", [1, 2], "ndjson"), max_streams=1) as app:
            for _ in range(3):
                answer = self.ask(app)
                assert (answer.status, answer.body) == (200, b"1\n2\n")

    def test_a_stream_that_is_not_sent_makes_room(self) -> None:
        """As there is nothing to send."""

        def view(service: Any) -> Any:
            return service.sse("s", AsyncSource([NothingMore()]))

        with self.serve(view, max_streams=1) as app:
            for _ in range(3):
                assert self.ask(app).status == 204

    def test_a_response_without_a_body_needs_no_room(self, clients: ExitStack) -> None:
        views = iter([lambda s: s.sse("s", AsyncSource(["event", forever])), *[tagged] * 3])
        with self.serve(lambda s: next(views)(s), max_streams=1) as app:
            self.connected(clients, app)
            assert self.ask(app, "HEAD").status == 200
            assert self.ask(app, If_None_Match='"v1"').status == 304
            answer = self.ask(app)
            assert_rejected(answer)
            assert "ETag" not in answer.headers
            assert "Accept-Ranges" not in answer.headers

    def test_a_stream_that_something_was_put_around_counts(self, clients: ExitStack) -> None:
        def view(service: Any) -> Any:
            return self.wrap(service.sse("s", AsyncSource(["event", forever])))

        with self.serve(view, max_streams=1) as app:
            client = self.connected(clients, app)
            assert_rejected(self.ask(app))
            client.disconnect()
            client.assert_source_closed()

    def test_head_of_a_stream_that_something_was_put_around_says_nothing_of_the_length(
        self,
    ) -> None:
        source = SyncSource([1])
        with self.serve(lambda s: self.wrap(s.export("e", source, "ndjson"))) as app:
            answer = self.ask(app, "HEAD")
            assert answer.status == 200
            assert "Content-Length" not in answer.headers
            assert source.closed.wait(WAIT)
            assert (source.given, source.closes) == (0, 1)

    @pytest.mark.parametrize("kind", ["sse", "export"])
    def test_a_head_alone_says_nothing_of_a_length_that_is_unknown(self, kind: str) -> None:
        source = SyncSource([1])
        views = {
            "sse": lambda s: s.sse("s", source),
            "export": lambda s: s.export("e", source, "ndjson"),
        }
        with self.serve(views[kind]) as app:
            answer = self.ask(app, "HEAD")
        assert answer.status == 200
        assert "Content-Length" not in answer.headers
        assert source.closed.wait(WAIT)
        assert source.given == 0

    def test_without_a_limit_all_streams_are_let_in(self, clients: ExitStack) -> None:
        with self.serve(lambda s: s.sse("s", AsyncSource(["event", forever]))) as app:
            for _ in range(20):
                self.connected(clients, app)

    @pytest.mark.usefixtures("_shut_down")
    def test_no_live_stream_is_let_in_once_the_process_is_shut_down(
        self, registry: CollectorRegistry
    ) -> None:
        source = SyncSource([1])
        with self.serve(lambda s: s.sse("s", source)) as app:
            assert_rejected(self.ask(app))
            assert (source.given, source.closes) == (0, 1)
            assert value(registry, "stream_rejected_total", kind="sse") == 1
            assert self.ask(app, "HEAD").status == 200

    @pytest.mark.usefixtures("_shut_down")
    def test_exports_and_downloads_are_let_in_while_the_process_ends(self) -> None:
        """The server says when it takes no more requests."""
        with self.serve(lambda s: s.export("e", [1], "ndjson")) as app:
            answer = self.ask(app)
            assert (answer.status, answer.body) == (200, b"1\n")
        with self.serve(tagged) as app:
            answer = self.ask(app)
            assert (answer.status, answer.body) == (200, b"0123456789")

    @pytest.mark.usefixtures("_shut_down")
    def test_a_browsers_event_source_is_told_to_come_back_once_the_process_is_shut_down(
        self, registry: CollectorRegistry
    ) -> None:
        source = SyncSource([1])
        with self.serve(lambda s: s.sse("s", source)) as app:
            assert_told_to_come_back(self.ask(app, **EVENT_SOURCE))
        assert (source.given, source.closes) == (0, 1)
        assert value(registry, "stream_rejected_total", kind="sse") == 1
        assert value(registry, "stream_active") == 0
        assert value(registry, "stream_closed_total") == 0

    @pytest.mark.parametrize(
        ("headers", "comes_back"),
        [
            (EVENT_SOURCE, True),
            ({"Accept": "TEXT/Event-Stream;q=1", "Cache_Control": "max-age=0, no-cache"}, True),
            ({"Accept": "text/event-stream"}, False),
            ({"Cache_Control": "no-cache"}, False),
            ({"Accept": "*/*", "Cache_Control": "no-cache"}, False),
            ({"Accept": "text/event-stream", "Cache_Control": "no-store"}, False),
        ],
    )
    def test_past_the_limit_a_browsers_event_source_is_never_answered_with_an_error(
        self, headers: dict[str, str], comes_back: bool, clients: ExitStack
    ) -> None:
        """Which would end it for good. Any other client is, and comes back on that."""

        def view(service: Any) -> Any:
            return service.sse("s", AsyncSource(["event", forever]))

        with self.serve(view, max_streams=1) as app:
            self.connected(clients, app)
            (assert_told_to_come_back if comes_back else assert_rejected)(self.ask(app, **headers))

    def test_past_the_limit_an_export_is_rejected_whoever_asks(self, clients: ExitStack) -> None:
        views = iter([lambda s: s.sse("s", AsyncSource(["event", forever])), tagged])
        with self.serve(lambda s: next(views)(s), max_streams=1) as app:
            self.connected(clients, app)
            assert_rejected(self.ask(app, **EVENT_SOURCE))

    def test_a_wrapped_event_stream_is_told_to_come_back_too(self, clients: ExitStack) -> None:
        def view(service: Any) -> Any:
            return self.wrap(service.sse("s", AsyncSource(["event", forever])))

        with self.serve(view, max_streams=1) as app:
            self.connected(clients, app)
            assert_told_to_come_back(self.ask(app, **EVENT_SOURCE))

    @pytest.mark.parametrize(
        ("accept", "expected"),
        [
            (None, b": dropped 0\n\n"),
            ("*/*", b": dropped 0\n\n"),
            ("text/*", b": dropped 0\n\n"),
            ("text/event-stream", b": dropped 0\n"),
            ("application/json", b": dropped 0\n"),
            ("text/html, */*;q=0.1", b": dropped 0\n"),
        ],
    )
    def test_how_a_comment_ends_depends_on_who_reads_it(
        self, accept: str | None, expected: bytes
    ) -> None:
        headers = {} if accept is None else {"Accept": accept}
        event = streamkit.ServerSentEvent(data=None, comment="dropped 0")
        with self.serve(lambda s: s.sse("s", [event])) as app:
            assert self.ask(app, **headers).body == expected

    @SOURCES
    def test_a_source_that_has_nothing_more_is_a_204(
        self, source_class: Any, registry: CollectorRegistry
    ) -> None:
        source = source_class([NothingMore()])
        with self.serve(lambda s: s.sse("s", source)) as app:
            answer = self.ask(app)
        assert (answer.status, answer.body) == (204, b"")
        assert "Content-Type" not in answer.headers
        assert "Content-Length" not in answer.headers
        assert source.closed.wait(WAIT)
        assert source.closes == 1
        wait_until(lambda: value(registry, "stream_closed_total", outcome="completed") == 1)

    @SOURCES
    def test_a_source_that_has_nothing_more_after_an_event_ends_the_stream(
        self, source_class: Any
    ) -> None:
        source = source_class(["one", NothingMore()])
        with self.serve(lambda s: s.sse("s", source)) as app:
            answer = self.ask(app)
        assert (answer.status, answer.body) == (200, b"data: one\n\n")

    @pytest.mark.parametrize(
        ("query", "header", "expected"),
        [
            ("", None, "None"),
            ("?lastEventId=41", None, "41"),
            ("?lastEventId=41", "42", "42"),
            ("?other=1&lastEventId=gr%C3%B6%C3%9Fe+%E2%98%83", None, "größe ☃"),
            ("?lastEventId=", None, "None"),
            ("?lasteventid=41", None, "None"),
            ("", "42", "42"),
        ],
    )
    def test_the_last_event_that_a_client_saw_is_in_the_context(
        self, query: str, header: str | None, expected: str
    ) -> None:
        def feed() -> Iterator[str]:
            yield f"{streamkit.context.get().last_event_id}"

        headers = {} if header is None else {"Last-Event-ID": header}
        with (
            self.serve(lambda s: s.sse("s", feed())) as app,
            connect(app, f"/{query}", headers=headers) as client,
        ):
            assert client.event().data == expected

    def test_an_inner_middleware_inherits_the_tenant_and_the_limit(
        self, registry: CollectorRegistry, clients: ExitStack
    ) -> None:
        def view(service: Any) -> Any:
            tenants.append(streamkit.context.get().tenant)
            return service.sse("s", AsyncSource(["event", forever]))

        tenants: list[str] = []
        with self.serve(view, max_streams=1, tenant="acme", nested=True) as app:
            client = self.connected(clients, app)
            assert_rejected(self.ask(app))
            client.disconnect()
            client.assert_source_closed()
            self.connected(clients, app).disconnect()
        assert tenants == ["acme"] * 3
        assert value(registry, "stream_rejected_total", tenant="acme") == 1

    def test_a_part_is_the_same_behind_two_middlewares(self) -> None:
        with self.serve(tagged, nested=True) as app:
            answer = self.ask(app, Range="bytes=2-4")
        assert (answer.status, answer.body) == (206, b"234")
        assert answer.headers["Content-Range"] == "bytes 2-4/10"

    def test_nothing_is_lost_where_no_thread_is_to_be_had(
        self, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The place, the gauge and the source are as if the stream had never been asked for."""
        start = threading.Thread.start
        failing = SyncSource(range(1000))
        sources = iter([failing, SyncSource([1, 2])])

        def start_no_pump(thread: threading.Thread) -> None:
            if thread.name == "streamkit-pump":
                raise RuntimeError("can't start new thread")
            start(thread)

        with self.serve(lambda s: s.export("e", next(sources), "ndjson"), max_streams=1) as app:
            monkeypatch.setattr(threading.Thread, "start", start_no_pump)
            self.ask_what_fails(app, "can't start new thread")
            monkeypatch.setattr(threading.Thread, "start", start)
            assert failing.closed.wait(WAIT)
            assert (failing.given, failing.closes) == (0, 1)
            wait_until(lambda: value(registry, "stream_active") == 0)
            assert outcomes(registry) == {"failed": 1}
            answer = self.ask(app)
            assert (answer.status, answer.body) == (200, b"1\n2\n")

    @SOURCES
    def test_nothing_is_lost_where_a_source_exits_before_its_first_element(
        self, source_class: Any, registry: CollectorRegistry
    ) -> None:
        class Exit(BaseException):
            """As SystemExit is, which would end the loop of the test as well."""

        failing = source_class([Exit()])
        sources = iter([failing, SyncSource([1, 2])])
        with self.serve(lambda s: s.export("e", next(sources), "ndjson"), max_streams=1) as app:
            self.ask_what_fails(app, "a source raised Exit")
            assert failing.closed.wait(WAIT)
            assert failing.closes == 1
            wait_until(lambda: value(registry, "stream_active") == 0)
            answer = self.ask(app)
            assert (answer.status, answer.body) == (200, b"1\n2\n")

    def ask_what_fails(self, app: Any, message: str) -> None:
        """Frameworks answer an error with a 500, protocols raise it."""
        raised, answer = None, None
        try:
            answer = self.ask(app)
        except BaseException as error:
            raised = error
        assert message in str(raised) if answer is None else answer.status == 500


class AsyncSuite(Suite):
    is_async = True

    async def call(self, app: Any, client: asgi_client.Client) -> None:
        await app(asgi_client.scope(), client.receive, client.send)

    @SOURCES
    @pytest.mark.parametrize(
        "view",
        [
            lambda s, source: s.sse("s", source),
            lambda s, source: s.export("e", source, "ndjson"),
        ],
        ids=["sse", "export"],
    )
    def test_a_client_that_takes_nothing_is_given_up(
        self,
        view: Any,
        source_class: Any,
        registry: CollectorRegistry,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        let_stall(monkeypatch, 0.05)
        source = source_class(repeat("element"))

        async def send(event: Any) -> None:
            if event.get("body"):
                await forever()

        async def main() -> None:
            client = asgi_client.Client(send)
            await self.call(app, client)
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()
            assert client.status == 200
            assert client.body == b""

        with self.serve(lambda s: view(s, source)) as app:
            asgi_client.run(main)
        assert source.closed.wait(WAIT)
        assert source.closes == 1
        wait_until(lambda: value(registry, "stream_closed_total", outcome="disconnected") == 1)

    def test_a_client_that_takes_nothing_is_given_up_when_its_stream_is_to_end(
        self, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the process is shut down: sooner then."""
        let_stall(monkeypatch, 1000.0)
        monkeypatch.setattr("streamkit.stream.async_chunks.MAX_CLOSING", 0.05)
        source = AsyncSource(["event", forever])

        async def send(event: Any) -> None:
            if event.get("body"):
                streamkit.shutdown()
                await forever()

        async def main() -> None:
            await self.call(app, asgi_client.Client(send))

        with self.serve(lambda s: s.sse("s", source)) as app:
            asgi_client.run(main)
        signals._forget()
        assert source.closes == 1
        wait_until(lambda: value(registry, "stream_closed_total", outcome="disconnected") == 1)


async def forever() -> None:
    await asyncio.Event().wait()


def waits(source_class: Any, release: threading.Event) -> list[Any]:
    """What keeps a source from ending."""
    return [forever] if source_class is AsyncSource else [lambda: release.wait(WAIT)]


def tagged(service: Any) -> Any:
    return service.download(b"0123456789", filename="digits", etag="v1")


def assert_rejected(answer: Answer) -> None:
    assert (answer.status, answer.body) == (503, b"")
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Content-Disposition" not in answer.headers


def assert_told_to_come_back(answer: Answer) -> None:
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert "Retry-After" not in answer.headers
    found = re.fullmatch(rb"retry: (\d+)\n", answer.body)
    assert found
    assert 1000 <= int(found[1]) <= 10_000
