"""Servers with one request, in process: one for each protocol that a response may speak.

None reads ahead: a chunk is asked for when the client asks, and until then the app is held up.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from inspect import signature
from itertools import chain
from typing import Any, Final, Protocol, TypeVar

from werkzeug.datastructures import EnvironHeaders

from streamkit.response import StreamResponse
from streamkit.source import aclose
from streamkit.stream.background import background_loop
from streamkit.testing.exchange import Exchange

__all__ = ["AsyncServer", "Server", "async_server_of", "server_of"]

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds in which an app is to return once its client has left."""


class Server(Protocol):
    """One for a thread."""

    def next(self, deadline: float) -> bytes | None:
        """The next chunk: ``b""`` if there is none by ``deadline``, None if there are no more.

        Raises what the app raises, once.
        """

    def beat(self) -> None:
        """Let the heartbeats be due now."""

    def leave(self) -> None:
        """The client disconnects. Raises what the app raises then."""


class AsyncServer(Protocol):
    """One for a task. It does the same."""

    async def next(self, deadline: float) -> bytes | None: ...
    async def beat(self) -> None: ...
    async def leave(self) -> None: ...


def server_of(target: Any, exchange: Exchange) -> Server:
    """A server for a thread. Raises TypeError if ``target`` is no app and no response."""
    if _is_asgi(target):
        return OnLoop(ASGIServer(target, exchange))
    if callable(target):
        return WSGIServer(target, exchange)
    _begin(target, "__iter__", exchange)
    return WSGIServer(lambda environ, start_response: iter(target), exchange)


def async_server_of(target: Any, exchange: Exchange) -> AsyncServer:
    """A server for a task. Raises TypeError if ``target`` is no app and no response."""
    if _is_asgi(target):
        return ASGIServer(target, exchange)
    if callable(target):
        return OnThread(WSGIServer(target, exchange))
    _begin(target, "__aiter__", exchange)
    return IterableServer(target, exchange)


def _is_asgi(target: Any) -> bool:
    """Whether it takes a scope, receive and send, and not an environ and start_response."""
    if not callable(target):
        return False
    try:
        signature(target).bind(None, None, None)
    except TypeError:
        return False
    return True


def _begin(response: Any, method: str, exchange: Exchange) -> None:
    """Send the head of a response that is neither, but can be iterated."""
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    if status is None or not hasattr(response, method):
        raise TypeError(
            "a client is connected to a WSGI or ASGI app, or to a response, not to "
            f"{type(response).__name__}"
        )
    # Its close is not for us: Django's tells of a request that has ended, and there was none.
    exchange.begin(status, response.headers.items())
    # A middleware may have opened it already.
    stream = getattr(response, "stream", None)
    if isinstance(stream, StreamResponse):
        exchange.follow(stream.pipeline)


class WSGIServer:
    """PEP 3333, on the thread that asks."""

    def __init__(self, app: Callable[..., Any], exchange: Exchange) -> None:
        self._app = app
        self._exchange = exchange
        self._body: Any = None
        self._chunks: Iterator[bytes] | None = None
        self._written: list[bytes] = []

    def next(self, deadline: float) -> bytes | None:
        self._exchange.be_back(deadline)
        return self._exchange.context.run(self._next, deadline)

    def _next(self, deadline: float) -> bytes | None:
        if self._chunks is None:
            self._body = self._app(self._exchange.request.get_environ(), self._start_response)
            self._chunks = chain(self._written, self._body)
        for chunk in self._chunks:
            if chunk or time.monotonic() >= deadline:
                return chunk
        return None

    def _start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self._exchange.begin(int(status.split()[0]), headers)
        return self._written.append

    def beat(self) -> None:
        self._exchange.beat()

    def leave(self) -> None:
        if hasattr(self._body, "close"):
            self._exchange.context.run(self._body.close)


class ClientLeft(OSError):
    """What ``send`` raises when there is nobody to send to (ASGI HTTP, 2.4)."""


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
        if not (await asyncio.wait((self._task,), timeout=GRACE))[0]:
            self._task.cancel()
            raise AssertionError(f"the app still ran {GRACE:g} s after its client had disconnected")
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


class IterableServer:
    """A response that is read with ``async for``."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange
        self._chunks: AsyncIterator[bytes] | None = None
        self._reading: asyncio.Task[bytes | None] | None = None

    async def next(self, deadline: float) -> bytes | None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._next(), context=self._exchange.context)
        reading = self._reading
        if not (await asyncio.wait((reading,), timeout=deadline - time.monotonic()))[0]:
            return b""
        self._reading = None
        return reading.result()

    async def _next(self) -> bytes | None:
        if self._chunks is None:
            self._chunks = aiter(self._response)
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return None

    async def beat(self) -> None:
        self._exchange.beat()

    async def leave(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
        await aclose(self._chunks)


class OnLoop:
    """An async server, for a thread: it runs on a loop of another."""

    def __init__(self, server: AsyncServer) -> None:
        self._server = server

    def next(self, deadline: float) -> bytes | None:
        return _on_loop(self._server.next(deadline))

    def beat(self) -> None:
        _on_loop(self._server.beat())

    def leave(self) -> None:
        _on_loop(self._server.leave())


def _on_loop(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(call, background_loop()).result()


class OnThread:
    """A server for a thread, for a task: it runs on a thread of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def next(self, deadline: float) -> bytes | None:
        return await self._on_thread(self._server.next, deadline)

    async def beat(self) -> None:
        await self._on_thread(self._server.beat)

    async def leave(self) -> None:
        try:
            await self._on_thread(self._server.leave)
        finally:
            self._thread.shutdown(wait=False)

    async def _on_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
