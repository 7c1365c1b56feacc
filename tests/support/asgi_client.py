"""An ASGI server with one client, by hand: common test clients read a response whole."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from combinations import WAIT
from werkzeug.datastructures import Headers


def scope(
    method: str = "GET", path: str = "/", headers: list[tuple[bytes, bytes]] | None = None
) -> Any:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers or [],
        "client": None,
        "server": None,
    }


class Client:
    """A server with one client, who may leave."""

    def __init__(self, send: Callable[[Any], Awaitable[None]] | None = None) -> None:
        self.sent: list[Any] = []
        self.gone = asyncio.Event()
        self._arrived = asyncio.Event()
        self.requests = [{"type": "http.request", "body": b"", "more_body": False}]
        self._send = send

    async def receive(self) -> Any:
        if self.requests:
            return self.requests.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Any) -> None:
        if self._send is not None:
            await self._send(event)
        self.sent.append(event)
        self._arrived.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), WAIT)

    async def until_body_has(self, text: bytes, times: int = 1) -> None:
        await self.until(lambda: self.body.count(text) >= times)

    @property
    def status(self) -> Any:
        return self.sent[0]["status"]

    @property
    def headers(self) -> Headers:
        return Headers([(name.decode(), value.decode()) for name, value in self.sent[0]["headers"]])

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent[1:])


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def checked() -> None:
        async with asyncio.timeout(WAIT):
            await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(checked())


def get(app: Any, path: str = "/", query: bytes = b"", **headers: str) -> Client:
    """The client once ``app`` has answered its request."""

    async def main() -> None:
        request = scope("GET", path, raw) | {"query_string": query}
        await app(request, client.receive, client.send)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    client = Client()
    run(main)
    return client
