"""Clients that take nothing more, under ASGI. See ``limits`` for all the adapters."""

import asyncio
from typing import Any

import pytest
from asgi_client import Client, run, scope
from combinations import AsyncSource

from streamkit import StreamingService
from streamkit_adapters import asgi


async def forever() -> None:
    await asyncio.Event().wait()


class TestASGI:
    def test_a_client_that_takes_something_now_and_then_stays(
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

    def test_a_client_that_does_not_take_the_end_is_given_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

    def test_a_server_that_cancels_a_stalled_application_is_heard(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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
