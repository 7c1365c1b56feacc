"""Servers with one request, in process: one for each protocol that a response may speak.

None reads ahead: a chunk is asked for when the client asks, and until then the app is held up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from typing import Any, Protocol, TypeVar

from streamkit.response import StreamResponse
from streamkit.source import aclose
from streamkit.stream.background import background_loop
from streamkit.testing.asgi_server import ASGIServer
from streamkit.testing.exchange import Exchange
from streamkit.testing.wsgi_server import WSGIServer

__all__ = ["AsyncServer", "Server", "async_server_of", "server_of"]

T = TypeVar("T")


class Server(Protocol):
    """A server whose client is a thread."""

    def next(self, deadline: float) -> bytes | None:
        """The next chunk: ``b""`` if there is none by ``deadline``, None if there are no more.

        ``deadline`` is a time of ``time.monotonic()``. Raises what the app raises, once.
        """

    def beat(self) -> None:
        """Let the heartbeats be due now."""

    def leave(self) -> None:
        """The client disconnects. Raises what the app raises then."""


class AsyncServer(Protocol):
    """A server whose client is a task. It does what ``Server`` does, and is awaited."""

    async def next(self, deadline: float) -> bytes | None: ...
    async def beat(self) -> None: ...
    async def leave(self) -> None: ...


def server_of(target: Any, exchange: Exchange) -> Server:
    """A server for a client on a thread. Raises TypeError if ``target`` is no app, no response."""
    if _is_asgi(target):
        return OnLoop(ASGIServer(target, exchange))
    if _is_app(target):
        return WSGIServer(target, exchange)
    _begin(target, "__iter__", exchange)
    return WSGIServer(lambda environ, start_response: iter(target), exchange)


def async_server_of(target: Any, exchange: Exchange) -> AsyncServer:
    """A server for a client on a loop. Raises TypeError if ``target`` is no app, no response."""
    if _is_asgi(target):
        return ASGIServer(target, exchange)
    if _is_app(target):
        return OnThread(WSGIServer(target, exchange))
    _begin(target, "__aiter__", exchange)
    return IterableServer(target, exchange)


def _is_app(target: Any) -> bool:
    # A neutral response is callable only to say that it is no app.
    return callable(target) and not isinstance(target, StreamResponse)


def _is_asgi(target: Any) -> bool:
    """Whether ``target`` takes a scope, receive and send, not an environ and start_response."""
    if not _is_app(target):
        return False
    try:
        signature(target).bind(None, None, None)
    except TypeError:
        return False
    return True


def _begin(response: Any, method: str, exchange: Exchange) -> None:
    """Send the head of a ``response`` that is no application, but can be iterated by ``method``."""
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    if status is None or not hasattr(response, method):
        raise TypeError(
            "a client is connected to a WSGI or ASGI app, or to a response, not to "
            f"{type(response).__name__}"
        )
    # Nobody here calls the response's close: Django's tells of a request that has ended, and there
    # was none.
    exchange.begin(status, response.headers.items())
    # A middleware may have opened the stream already, outside of the context that shows its own.
    stream = getattr(response, "stream", None)
    if isinstance(stream, StreamResponse):
        exchange.follow(stream.pipeline)


class IterableServer:
    """A server of a response that is read with ``async for``."""

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
    """An async server for a client on a thread: it runs on the background loop of the process."""

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
    """A sync server for a client on a loop: it runs on a thread of its own."""

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
