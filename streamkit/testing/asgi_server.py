"""A server of ASGI HTTP with one request, in process."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from werkzeug.datastructures import EnvironHeaders

from streamkit.testing.exchange import Exchange

__all__ = ["ASGIServer"]

MAX_LEAVING: Final = 5.0
"""Seconds in which an app is to return once its client has left.

A judgement, as is the clients' ``TIMEOUT``: what takes longer on a busy machine hangs.
"""


class ClientLeft(OSError):
    """What ``send`` raises when there is nobody to send to (ASGI HTTP, ``spec_version`` 2.4)."""


class ASGIServer:
    """ASGI HTTP, version 3, with the app as a task of the running loop."""

    def __init__(self, app: Callable[..., Any], exchange: Exchange) -> None:
        self._app = app
        self._exchange = exchange
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._requests = [{"type": "http.request", "body": b"", "more_body": False}]
        self._chunks: deque[bytes] = deque()
        self._is_complete = False
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()
        self._gone = asyncio.Event()

    async def next(self, deadline: float) -> bytes | None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=self._exchange.context)
            self._task.add_done_callback(lambda task: self._arrived.set())
        while not self._chunks:
            self._raise_once()
            if self._is_complete:
                return None
            if self._task.done():
                raise AssertionError("the app returned before the end of its response")
            self._arrived.clear()
            self._wanted.set()
            try:
                await asyncio.wait_for(self._arrived.wait(), deadline - time.monotonic())
            except TimeoutError:
                return b""
        return self._chunks.popleft()

    async def beat(self) -> None:
        self._exchange.beat()

    async def leave(self) -> None:
        self._gone.set()
        self._wanted.set()
        if self._task is None:
            return
        if not (await asyncio.wait((self._task,), timeout=MAX_LEAVING))[0]:
            self._task.cancel()
            raise AssertionError(
                f"the app still ran {MAX_LEAVING:g} s after its client had disconnected"
            )
        with suppress(ClientLeft):
            self._raise_once()

    async def _run(self) -> None:
        try:
            await self._app(_scope(self._exchange), self._receive, self._send)
        except BaseException as error:
            self._error = error

    def _raise_once(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _receive(self) -> dict[str, Any]:
        if self._requests:
            return self._requests.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self._exchange.begin(event["status"], map(_text, event["headers"]))
        elif event["type"] == "http.response.body":
            self._is_complete = not event.get("more_body", False)
            if chunk := event.get("body", b""):
                self._chunks.append(chunk)
                self._wanted.clear()
            self._arrived.set()
            if not self._is_complete:
                await self._wanted.wait()
        if self._gone.is_set():
            raise ClientLeft("the client has disconnected")


def _scope(exchange: Exchange) -> dict[str, Any]:
    environ = exchange.request.get_environ()
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": environ["PATH_INFO"].encode("latin-1").decode(),
        "raw_path": exchange.request.path.encode("ascii"),
        "query_string": environ["QUERY_STRING"].encode("latin-1"),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in EnvironHeaders(environ)
        ],
        "client": (environ["REMOTE_ADDR"], 0),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }


def _text(header: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = header
    return name.decode("latin-1"), value.decode("latin-1")
