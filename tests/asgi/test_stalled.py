"""Clients that take nothing more, and what they may cost. See ``limits`` for all the adapters."""

import asyncio
import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_client import Client, run, scope
from combinations import AsyncSource, Combination, SyncSource, wait_until

from streamkit import StreamingService
from streamkit_adapters import asgi, wsgi

MIB = 1024 * 1024


async def forever() -> None:
    await asyncio.Event().wait()


class TestASGI:
    def test_one_that_takes_something_now_and_then_stays(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.stream.chunks.MAX_STALL", 1.0)

        async def send(event: Any) -> None:
            await asyncio.sleep(0.15)

        async def main() -> None:
            client = Client(send)
            pieces = AsyncSource([bytes(64 * 1024)] * 9)
            response = asgi.StreamingService.download(pieces, filename="f")
            await response(scope(), client.receive, client.send)
            assert len(client.body) == 9 * 64 * 1024
            assert not client.sent[-1]["more_body"]

        run(main)

    def test_one_that_does_not_take_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which a server may hold back, though it has no bytes, for as long as it has no room."""
        monkeypatch.setattr("streamkit.stream.chunks.MAX_STALL", 0.05)

        async def send(event: Any) -> None:
            if event.get("more_body") is False:
                await forever()

        async def main() -> None:
            client = Client(send)
            response = asgi.StreamingService.export("e", [1], "ndjson")
            await response(scope(), client.receive, client.send)
            assert client.body == b"1\n"

        run(main)

    def test_a_silent_source_stalls_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streamkit.stream.chunks.MAX_STALL", 0.01)

        async def pause() -> int:
            await asyncio.sleep(0.1)
            return 2

        async def main() -> None:
            client = Client()
            response = asgi.StreamingService.export("e", AsyncSource([1, pause]), "ndjson")
            await response(scope(), client.receive, client.send)
            assert client.body == b"1\n2\n"

        run(main)

    def test_the_server_cancels_it_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cancellation that is not ours is not kept from the server."""
        monkeypatch.setattr("streamkit.stream.chunks.MAX_STALL", 0.01)

        async def send(event: Any) -> None:
            if event.get("body"):
                try:
                    await forever()
                finally:
                    serving[0].cancel()

        async def main() -> None:
            client = Client(send)
            response = asgi.StreamingService.export("e", AsyncSource([1, forever]), "ndjson")
            serving.append(asyncio.create_task(response(scope(), client.receive, client.send)))
            with pytest.raises(asyncio.CancelledError):
                await serving[0]

        serving: list[asyncio.Task[None]] = []
        run(main)

    def test_chunks_that_are_dropped_are_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever took the last chunk goes on undisturbed."""
        monkeypatch.setattr("streamkit.stream.chunks.MAX_STALL", 0.01)

        async def main() -> None:
            source = AsyncSource([1, forever])
            chunks = aiter(StreamingService.export("e", source, "ndjson"))
            await anext(chunks)
            del chunks
            await asyncio.sleep(0.05)
            assert source.closes == 1

        run(main)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this system")
@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
class TestWSGI:
    """The kernel sees to it, where the environ gives the socket."""

    def open(self, connection: socket.socket, name: str) -> None:
        environ = {"REQUEST_METHOD": "GET", name: connection}
        wsgi.open_chunks(StreamingService.export("e", [1], "ndjson"), environ).close()

    def test_it_has_two_minutes(self, name: str) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()),
            server.accept()[0] as connection,
        ):
            self.open(connection, name)
            set_to = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert set_to == 120_000

    def test_a_socket_of_another_family_has_no_such_option(self, name: str) -> None:
        here, there = socket.socketpair()
        with here, there:
            self.open(here, name)


class TestLargeElements:
    """Of 16 MiB each."""

    SIZE = 16 * MIB

    @pytest.fixture(autouse=True)
    def _traced(self) -> Iterator[None]:
        tracemalloc.start()
        yield
        tracemalloc.stop()

    def test_of_text_for_a_client_that_takes_nothing(
        self, combination: Combination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One waits, one is on its way to the client, and one is about to be thrown away."""
        monkeypatch.setattr("streamkit.stream.buffer.PATIENCE", 0.0)
        source = combination.source("x" * self.SIZE + f"{n}" for n in range(1000))
        reader = combination.reader.open(StreamingService.sse("s", source))
        reader.next()
        wait_until(lambda: combination.reader.run(lambda: source.given > 20))
        reader.leave()
        assert tracemalloc.get_traced_memory()[1] < 8 * self.SIZE

    def test_of_bytes_for_a_client_that_takes_all(self, combination: Combination) -> None:
        source = combination.source(bytes(self.SIZE) for _ in range(20))
        reader = combination.reader.open(StreamingService.download(source, filename="f"))
        for _ in range(20):
            assert len(reader.next()) == self.SIZE
        reader.leave()
        assert tracemalloc.get_traced_memory()[1] < 5 * self.SIZE


def test_the_source_of_a_stalled_thread_is_held_up() -> None:
    """Under WSGI, for as long as the server waits for its client."""
    source = SyncSource(range(100_000))
    chunks = iter(StreamingService.export("e", source, "ndjson"))
    next(chunks)
    wait_until(lambda: source.given > 128)
    assert source.given <= 3 * 128
    chunks.close()
