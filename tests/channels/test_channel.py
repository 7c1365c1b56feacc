"""The handle: what it takes, what it refuses, and where it may be called."""

import asyncio
import logging
import re
import subprocess
import sys
from textwrap import dedent
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import create_environ

from streamkit import (
    Channel,
    ServerSentEvent,
    StreamingService,
    channels,
    log,
    lossless,
    merge,
)
from streamkit.adapting import wsgi_request
from streamkit.channels import engine as engines
from streamkit.channels.memory import Memory
from streamkit.channels.ring import MAX_PIECE
from streamkit_adapters.wsgi import StreamingService as WSGIService


@pytest.fixture
def channel() -> Channel:
    return Channel(f"test-{uuid4()}")


def number(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


class TestHandle:
    def test_it_is_equal_by_name(self) -> None:
        assert Channel("orders") == Channel("orders") != Channel("others")
        assert len({Channel("orders"), Channel("orders")}) == 1
        assert Channel("orders") != "orders"
        assert repr(Channel("orders")) == "Channel('orders')"
        assert Channel("orders").name == "orders"

    def test_two_handles_are_one_channel(self, channel: Channel) -> None:
        first = channel.publish(1)
        assert Channel(channel.name).last_event_id() == first

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            (7, TypeError),
            (None, TypeError),
            (b"orders", TypeError),
            ("", ValueError),
            (" ", ValueError),
            ("a\nb", ValueError),
            ("x" * 201, ValueError),
        ],
    )
    def test_a_name_is_a_short_text(self, name: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match="name must"):
            Channel(name)

    def test_it_costs_no_channel_to_be_made(self) -> None:
        name = f"test-{uuid4()}"
        Channel(name)
        memory = engines.engine()
        assert isinstance(memory, Memory)
        assert memory._hubs.peek(name) is None


class TestPublishing:
    def test_ids_count_up_by_one_from_where_it_was_looked_at(self, channel: Channel) -> None:
        assert number(channel.last_event_id()) == 0
        assert [number(channel.publish(i)) for i in range(3)] == [1, 2, 3]
        assert number(channel.last_event_id()) == 3

    def test_a_loop_awaits_it(self, channel: Channel) -> None:
        async def main() -> None:
            first = await channel.apublish({"id": 7})
            assert await channel.alast_event_id() == first
            both = merge(channel, Channel(f"{channel.name}-2"))
            assert (await both.alast_event_id()).startswith(f"{first}.")

        asyncio.run(main())

    def test_a_loop_is_told_to(self, channel: Channel) -> None:
        async def main() -> None:
            with pytest.raises(RuntimeError, match=r"await apublish\("):
                channel.publish(1)
            with pytest.raises(RuntimeError, match="await alast_event_id"):
                channel.last_event_id()
            with pytest.raises(RuntimeError, match="await alast_event_id"):
                merge(channel).last_event_id()

        asyncio.run(main())

    @pytest.mark.parametrize("event", [None, ServerSentEvent(1, id="7"), object(), b"x"])
    def test_what_cannot_be_sent_changes_nothing(self, channel: Channel, event: Any) -> None:
        before = channel.last_event_id()
        with pytest.raises(ValueError, match="event|data"):
            channel.publish(event)
        assert channel.last_event_id() == before


class TestMerging:
    def test_it_is_equal_by_its_channels(self) -> None:
        a, b = Channel("a"), Channel("b")
        assert merge(a, b) == merge(a, b) != merge(b, a)
        assert len({merge(a, b), merge(a, b)}) == 1
        assert repr(merge(a, b)) == "merge(Channel('a'), Channel('b'))"

    @pytest.mark.parametrize(
        ("given", "error", "reason"),
        [
            ((), ValueError, "must be 1 to 64, got 0"),
            (tuple(Channel(str(i)) for i in range(65)), ValueError, "must be 1 to 64, got 65"),
            ((Channel("a"), Channel("a")), ValueError, "must differ"),
            (("a",), TypeError, "must be Channel objects, got str"),
            (([Channel("a")],), TypeError, "must be Channel objects, got list"),
        ],
    )
    def test_what_cannot_be_merged_is_refused(
        self, given: Any, error: type[Exception], reason: str
    ) -> None:
        with pytest.raises(error, match=reason):
            merge(*given)

    def test_the_id_of_64_channels_is_a_header_that_servers_take(self) -> None:
        many = merge(*(Channel(f"many-{i}") for i in range(64)))
        assert len(many.last_event_id()) < 4096


class TestWhereItDoesNotBelong:
    @pytest.mark.parametrize("source", [Channel("a"), merge(Channel("a"), Channel("b"))])
    @pytest.mark.parametrize("mark", [lambda source: source, lossless])
    def test_serialize_is_refused(self, source: Any, mark: Any) -> None:
        with pytest.raises(TypeError, match="serialize must be None for a channel"):
            StreamingService.sse("s", mark(source), str)

    def test_it_is_no_file_and_no_table(self) -> None:
        with pytest.raises(TypeError, match="source must not be a channel, which has no end"):
            StreamingService.download(Channel("a"), filename="f")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="rows must not be a channel, which has no end"):
            StreamingService.export("e", Channel("a"), "csv")


class TestUse:
    def test_without_a_url_they_are_in_memory(self, channel: Channel) -> None:
        first = channel.publish(1)
        channels.use(None)
        assert channel.last_event_id() == first

    def test_the_package_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.startswith("streamkit.channels.redis")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(ImportError, match=r"pip install 'streamkit-http\[redis\]'"):
            channels.use("redis://127.0.0.1:6379/0")
        assert isinstance(engines.engine(), Memory)

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(ValueError, match="url must begin with .*, got 'http'$") as error:
            channels.use("http://shop:secret@127.0.0.1")
        assert "secret" not in str(error.value)
        with pytest.raises(TypeError, match="url must be a str or None, got int"):
            channels.use(6379)  # type: ignore[arg-type]


def start_response(status: str, headers: Any, failure: Any = None) -> Any:
    assert status == "200 OK"


class TestSiblings:
    """What the log says, once, where events reach the clients of one process of several."""

    @pytest.fixture(autouse=True)
    def _nothing_said_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(log, "_said", set())
        monkeypatch.setattr("streamkit.channels.engine._has_looked", False)

    @pytest.mark.parametrize(
        ("server", "multiprocess", "warnings"),
        [
            ({"SERVER_SOFTWARE": "gunicorn/27.0.1"}, True, 1),
            ({"SERVER_SOFTWARE": "Werkzeug/3.1.3"}, True, 1),
            ({"mod_wsgi.version": (5, 0, 2)}, True, 1),
            ({"SERVER_SOFTWARE": "gunicorn/27.0.1"}, False, 0),
            # asgiref's, uvicorn's and hypercorn's bridges, and Django's test client, always.
            ({}, True, 0),
        ],
    )
    def test_a_server_of_wsgi_says_so(
        self,
        channel: Channel,
        server: dict[str, Any],
        multiprocess: bool,
        warnings: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        environ = create_environ() | server | {"wsgi.multiprocess": multiprocess}
        for _ in range(2):
            response = WSGIService.sse("s", channel)
            body: Any = response(environ, start_response)
            assert next(body).startswith(b"event: subscribed")
            body.close()
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * warnings
        assert "one of several workers" in caplog.text or not warnings

    def test_uwsgi_is_known_by_its_version(self) -> None:
        environ = create_environ() | {"uwsgi.version": b"2.0.31", "wsgi.multiprocess": True}
        assert wsgi_request(environ).has_siblings

    def test_another_stream_is_no_concern_of_it(self, caplog: pytest.LogCaptureFixture) -> None:
        environ = create_environ() | {
            "wsgi.multiprocess": True,
            "SERVER_SOFTWARE": "gunicorn/27.0.1",
        }
        body: Any = WSGIService.sse("s", ["event"])(environ, start_response)
        assert b"".join(body) == b"data: event\n\n"
        body.close()
        assert not caplog.records

    def test_a_child_of_multiprocessing_says_so(self) -> None:
        code = """
            import logging, multiprocessing
            from streamkit import Channel

            def child():
                Channel("a").publish(1)
                Channel("a").publish(2)

            if __name__ == "__main__":
                Channel("a").publish(1)
                process = multiprocessing.get_context("fork").Process(target=child)
                process.start()
                process.join()
        """
        done = subprocess.run(
            [sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True
        )
        assert done.stderr.count("one of several workers") == 1


def test_no_middleware_is_needed_to_come_back_by_the_header(
    channel: Channel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_said", set())
    first = channel.publish(1)
    channel.publish(2)
    environ = create_environ(headers={"Last-Event-ID": first})
    body: Any = WSGIService.sse("s", channel)(environ, start_response)
    assert next(body).startswith(b"data: 2\n")
    body.close()
    assert not caplog.records


class TestOrder:
    """One is published between two chunks of what was there before."""

    def test_a_thread_gets_the_events_in_theirs(self, channel: Channel) -> None:
        chunks = StreamingService.sse("s", channel).chunks()
        body = next(chunks)
        self.publish(channel, "a", "b")
        body += next(chunks)
        self.publish(channel, "c")
        while b"c" not in letters(body):
            body += next(chunks)
        chunks.close()
        assert letters(body) == [b"a", b"b", b"c"]

    def test_a_loop_gets_the_events_in_theirs(self, channel: Channel) -> None:
        async def main() -> None:
            chunks = aiter(StreamingService.sse("s", channel))
            body = await anext(chunks)
            await asyncio.to_thread(self.publish, channel, "a", "b")
            body += await anext(chunks)
            await asyncio.to_thread(self.publish, channel, "c")
            while b"c" not in letters(body):
                body += await anext(chunks)
            await chunks.aclose()
            assert letters(body) == [b"a", b"b", b"c"]

        asyncio.run(main())

    def publish(self, channel: Channel, *events: str) -> None:
        """Two of these are taken at a time, and sent as two chunks."""
        for letter in events:
            channel.publish(letter * (MAX_PIECE * 3 // 4))


def letters(body: bytes) -> list[bytes]:
    return re.findall(rb"data: ([a-z])", body)
