"""Plain ASGI: a response is an application of its own (ASGI HTTP, version 3, on asyncio)."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)
from werkzeug.datastructures import Headers

from streamkit import BaseStreamingService, StreamResponse, request_context

__all__ = [
    "StreamingResponse",
    "StreamingService",
    "StreamkitMiddleware",
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

        Raises what the source or the encoder raised: before the head was sent, for a download or
        export that fails at once.
        """
        headers = raw_headers(self.headers)
        await stream(self._response, self.status, headers, scope, receive, send)


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def stream(
    response: StreamResponse,
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    scope: Scope,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
) -> None:
    """Send ``response`` under a head of this ``status`` and these ``headers``."""
    head: ASGISendEvent = {
        "type": "http.response.start",
        "status": status,
        "headers": headers,
        "trailers": False,
    }
    if scope["type"] == "http" and scope["method"] == "HEAD":
        response.close()
        # An OSError says that the client has left.
        with suppress(OSError):
            await send(head)
            await send(_body(b"", more=False))
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
        unsent = [head]
        if response.live:
            await deliver(unsent.pop())
            # Some servers hold the head back until there is a body.
            await deliver(_body(b"", more=True))
        async for chunk in chunks:
            if unsent:
                await deliver(unsent.pop())
            await deliver(_body(chunk, more=True))
        if chunks.completed:
            if unsent:
                await deliver(unsent.pop())
            await deliver(_body(b"", more=False))
    finally:
        watch.cancel()
        await chunks.aclose()
        await asyncio.wait((watch,))
    if not watch.cancelled():
        watch.result()


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

    ``tenant`` takes the scope and returns the tenant's name, or None for ``"system"``.
    """

    def __init__(
        self, app: ASGI3Application, *, tenant: Callable[[HTTPScope], str | None] | None = None
    ) -> None:
        self._app = app
        self._tenant = tenant

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tenant = self._tenant(scope) if self._tenant else None
        with request_context(scope["method"], _headers(scope["headers"]), tenant):
            await self._app(scope, receive, send)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
