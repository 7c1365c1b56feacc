"""Plain ASGI: a response is an application of its own (ASGI HTTP, version 3, on asyncio)."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import cast

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)
from werkzeug.datastructures import Headers

from streamkit import (
    BaseStreamingService,
    NothingMore,
    StreamResponse,
    request_context,
    shutdown_on_signals,
)
from streamkit.admission import Admission

__all__ = [
    "StreamingResponse",
    "StreamingService",
    "StreamkitMiddleware",
    "headers_of",
    "raw_headers",
    "stream",
]


class StreamingResponse:
    """An ASGI application that answers one request with one stream."""

    def __init__(self, response: StreamResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Send the stream. Returns early once the client has left.

        Raises what the source or the encoder raised: before the head was sent, if that fails at
        once.
        """
        await stream(self._response, self.status, self.headers, scope, receive, send)


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def stream(
    response: StreamResponse,
    status: int,
    headers: Headers,
    scope: Scope,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
) -> None:
    """Send ``response`` under a head of this ``status`` and these ``headers``."""
    assert scope["type"] == "http"
    status = response.negotiate(
        scope["method"], headers_of(scope.get("headers", ())), status, headers
    )
    if response.is_bodiless:
        await _send_head(status, headers, send)
        return
    path = response.file and response.file.path
    if path and "http.response.pathsend" in (scope.get("extensions") or {}):
        await _send_path(response, path, _head(status, headers), send)
        return
    chunks = aiter(response)
    # Whatever its spec_version says, a server may tell of a client that left only here.
    watch = asyncio.create_task(_watch(receive, chunks.abandon))

    async def deliver(event: ASGISendEvent) -> None:
        try:
            await send(event)
        except OSError:
            chunks.abandon()

    try:
        try:
            if await chunks.prefetch():
                await deliver(_head(status, headers))
        except NothingMore:
            await _send_head(response.decline(headers), headers, send)
            return
        async for chunk in chunks:
            await deliver(_body(chunk, more=True))
        if chunks.completed:
            # A server may wait for room before it takes even what is empty.
            with suppress(TimeoutError):
                async with asyncio.timeout(chunks.max_stall):
                    await deliver(_body(b"", more=False))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or not chunks.gave_up or task.uncancel():
            raise
    finally:
        watch.cancel()
        await chunks.aclose()
        await asyncio.wait((watch,))
    if not watch.cancelled():
        watch.result()


def _head(status: int, headers: Headers) -> ASGISendEvent:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": raw_headers(headers),
        "trailers": False,
    }


async def _send_head(status: int, headers: Headers, send: ASGISendCallable) -> None:
    """Send a response that has no body."""
    # An OSError says that the client has left.
    with suppress(OSError):
        await send(_head(status, headers))
        await send(_body(b"", more=False))


async def _send_path(
    response: StreamResponse, path: str, head: ASGISendEvent, send: ASGISendCallable
) -> None:
    file = response.server_file()
    with closing(file), suppress(OSError):
        await send(head)
        await send(cast("ASGISendEvent", {"type": "http.response.pathsend", "path": path}))
        file.was_sent()


def _body(chunk: bytes, *, more: bool) -> ASGISendEvent:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _watch(receive: ASGIReceiveCallable, abandon: Callable[[], None]) -> None:
    """Read away what is left of the request's body, and call ``abandon`` when the client leaves."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    finally:
        abandon()


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning ASGI applications: ``await response(scope, receive, send)``."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each HTTP request.

    ``tenant`` takes the scope and returns the tenant's name, or None for ``"system"``. Of the
    streams that come through it ``max_streams`` may be open at a time in a process: more are
    answered with 503.
    """

    def __init__(
        self,
        app: ASGI3Application,
        *,
        tenant: Callable[[HTTPScope], str | None] | None = None,
        max_streams: int | None = None,
    ) -> None:
        self._app = app
        self._tenant = tenant
        self._admission = None if max_streams is None else Admission(max_streams)
        shutdown_on_signals()

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tenant = self._tenant(scope) if self._tenant else None
        headers = headers_of(scope.get("headers", ()))
        query = scope.get("query_string", b"").decode("latin-1")
        with request_context(scope["method"], headers, tenant, query, self._admission):
            await self._app(scope, receive, send)


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
