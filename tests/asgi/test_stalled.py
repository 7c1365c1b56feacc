"""Clients that take nothing more, under ASGI. See ``limits`` for all the adapters."""

import asyncio
from typing import Any

import pytest
from asgi_client import Client, run, scope
from combinations import WAIT, AsyncSource, let_stall

from streamkit import StreamingService
from streamkit_adapters import asgi


async def forever() -> None:
    await asyncio.Event().wait()


class TestASGI:
    def test_a_client_that_takes_something_now_and_then_stays(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        let_stall(monkeypatch, 1.0)

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
        let_stall(monkeypatch, 0.05)

        async def send(event: Any) -> None:
            if event.get("more_body") is False:
                await forever()

        async def main() -> None:
            client = Client(send)
            response = asgi.StreamingService.export("e", [1], "ndjson")
            await response(scope(), client.receive, client.send)
            assert client.body == b"1\n"

        run(main)

    def test_a_body_that_has_an_end_may_rest_for_longer_than_a_live_stream(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As behind a proxy that stops reading while it sends on what it has."""
        monkeypatch.setattr("streamkit.stream.chunks.MAX_STALL", 0.01)

        async def send(event: Any) -> None:
            await asyncio.sleep(0.1)

        async def main() -> None:
            for response in (
                asgi.StreamingService.download(AsyncSource([b"1", b"2"]), filename="f"),
                asgi.StreamingService.export("e", AsyncSource([1, 2]), "ndjson"),
            ):
                client = Client(send)
                await response(scope(), client.receive, client.send)
                assert not client.sent[-1]["more_body"]
            live = AsyncSource(["1", forever])
            client = Client(send)
            await asgi.StreamingService.sse("s", live)(scope(), client.receive, client.send)
            assert client.sent[-1:] == client.sent[:1]

        run(main)

    def test_a_silent_source_stalls_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        let_stall(monkeypatch, 0.01)

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
        let_stall(monkeypatch, 0.01)

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
        let_stall(monkeypatch, 0.01)

        async def main() -> None:
            source = AsyncSource([1, forever])
            chunks = aiter(StreamingService.export("e", source, "ndjson"))
            await anext(chunks)
            del chunks
            assert await asyncio.to_thread(source.closed.wait, WAIT)
            assert source.closes == 1

        run(main)


@pytest.mark.parametrize("how", ["the client leaves", "the response is closed"])
@pytest.mark.parametrize("at", ["head", "chunk", "end"])
def test_a_send_to_nobody_is_given_up_at_once(how: str, at: str) -> None:
    """Whatever it is that the server does not take, once it has told of the departure."""

    async def send(event: Any) -> None:
        is_end = event.get("more_body") is False
        if at == ("end" if is_end else "chunk" if "body" in event else "head"):
            if how == "the client leaves":
                client.gone.set()
            else:
                asyncio.get_running_loop().call_soon(response._response.close)
                client.gone.set() if at == "end" else None
            await forever()

    async def main() -> None:
        await response(scope(), client.receive, client.send)

    client = Client(send)
    source = AsyncSource([1] if at == "end" else [1, forever])
    response = asgi.StreamingService.export("e", source, "ndjson")
    run(main)
    assert source.closes == 1


def test_a_server_that_cancels_a_send_to_nobody_is_not_kept_from_it() -> None:
    async def send(event: Any) -> None:
        client.gone.set()
        try:
            await forever()
        finally:
            serving[0].cancel()

    async def main() -> None:
        serving.append(asyncio.create_task(response(scope(), client.receive, client.send)))
        with pytest.raises(asyncio.CancelledError):
            await serving[0]

    client = Client(send)
    serving: list[asyncio.Task[None]] = []
    response = asgi.StreamingService.export("e", AsyncSource([1, forever]), "ndjson")
    run(main)
