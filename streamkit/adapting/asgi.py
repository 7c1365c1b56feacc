"""ASGI HTTP, version 3, for the adapters of frameworks that speak it."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing, suppress
from functools import partial
from typing import Any, TypeVar

from werkzeug.datastructures import Headers

from streamkit import signals
from streamkit.adapting.gate import Gate
from streamkit.adapting.receiving import (
    Body,
    Receive,
    departure,
    may_have_body,
    request_body,
)
from streamkit.errors import FellBehind
from streamkit.log import say
from streamkit.request import Request
from streamkit.response import StreamResponse
from streamkit.stream.async_chunks import AsyncChunks
from streamkit.stream.server_file import ServerFile

__all__ = ["asgi_headers", "asgi_pass_through", "asgi_respond", "raw_headers"]

NativeT = TypeVar("NativeT")

# Frameworks have types of their own for these.
Scope = Mapping[str, Any]
Send = Callable[[Any], Awaitable[None]]


async def asgi_respond(
    response: StreamResponse,
    status: int,
    headers: Headers,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer the request of ``scope`` with ``response``, under this ``status`` and ``headers``.

    ``headers`` are changed to those of the answer. Returns early once the client has left. Raises
    what the source or the encoder raised: before the head was sent, if that fails at once.
    """
    # What was asked is not kept for as long as the stream is open.
    reply = await response.abegin(_request(scope, receive), status, headers)

    if isinstance(reply.body, AsyncChunks):
        # A method is called in fewer steps than an object.
        delivery = reply.body.deliver(_Head(send, reply.status, headers), _Body(send).chunk)
        # These are not kept for as long as the stream is open either.
        del reply, response, headers
        try:
            await delivery
        except FellBehind:
            # The log tells of that already. A server breaks off what returns before its end.
            return
        return
    # An OSError of send() says that the client has left (spec_version 2.4).
    with suppress(OSError), reply:
        await _Head(send, reply.status, headers)()
        if isinstance(reply.body, ServerFile):
            with closing(reply.body) as file:
                await send({"type": "http.response.pathsend", "path": file.path})
                file.was_sent()
        else:
            await _Body(send).chunk(reply.body, False)


# Functions would take four times the memory, for as long as the stream is open.


class _Head:
    """Sends the head."""

    __slots__ = ("_headers", "_send", "_status")

    def __init__(self, send: Send, status: int, headers: Headers) -> None:
        self._send = send
        self._status = status
        self._headers = headers

    def __call__(self) -> Awaitable[None]:
        event = {"type": "http.response.start", "status": self._status, "trailers": False}
        return self._send({**event, "headers": raw_headers(self._headers)})


class _Body:
    """Sends the body chunk by chunk."""

    __slots__ = ("_send",)

    def __init__(self, send: Send) -> None:
        self._send = send

    def chunk(self, chunk: bytes, more: bool) -> Awaitable[None]:
        send = self._send
        return send({"type": "http.response.body", "body": chunk, "more_body": more})


def _request(scope: Scope, receive: Receive) -> Request:
    headers = asgi_headers(scope.get("headers", ()))
    return Request(
        method=scope["method"],
        headers=headers,
        sends_paths="http.response.pathsend" in (scope.get("extensions") or {}),
        # A server may tell of a client that has left by receive() alone, whatever spec_version it
        # names: from 2.4 on send() is to raise as well.
        departure=partial(departure, receive),
        has_body=may_have_body(scope["method"], headers),
    )


async def asgi_pass_through(
    gate: Gate[NativeT],
    native: Callable[[Any], NativeT],
    app: Callable[[Any, Any, Any], Awaitable[None]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Call ``app`` behind ``gate`` if this is an HTTP request, and as it is if it is anything else.

    ``native`` makes the framework's own request of ``scope``, which the tenant is named for. When
    the application says that its lifespan is over, what is running outside of requests ends.
    """
    if scope["type"] == "lifespan":
        await app(scope, receive, partial(_finish_and_send, send))
        return
    if scope["type"] != "http":
        await app(scope, receive, send)
        return
    headers = asgi_headers(scope.get("headers", ()))
    query = scope.get("query_string", b"").decode("latin-1")
    tenant = gate.tenant_of(native(scope))
    body = Body(receive)
    token = request_body.set(body)
    try:
        with gate.pass_through(scope["method"], headers, query, tenant):
            await app(scope, body, send)
    finally:
        request_body.reset(token)


async def _finish_and_send(send: Send, event: Any) -> None:
    """Pass on what the application says of its lifespan."""
    try:
        if event["type"].startswith("lifespan.shutdown."):
            # Behind what it does then itself, and before the server goes on to its end, which may
            # be the signal that it was told to end by.
            await _finish()
    finally:
        await send(event)


async def _finish() -> None:
    """``signals.finish``, on a thread of its own: those of the loop's executor may all be taken."""
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def finish() -> None:
        try:
            signals.finish()
        finally:
            # Unless the server has not waited for it, and has closed its loop.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(finished.set)

    try:
        threading.Thread(target=finish, name="streamkit-end", daemon=True).start()
    except RuntimeError as error:
        # The process is to end as well.
        say(logging.ERROR, "what is running is not ended with the lifespan: %s", error)
        return
    await finished.wait()


def asgi_headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers in pairs of bytes, as a scope has them: decoded as latin-1."""
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])


def raw_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers in pairs of bytes, as ``http.response.start`` takes them: the names in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
