"""Plain ASGI: a response is an application of its own (ASGI HTTP, version 3, on asyncio)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import markcoroutinefunction
from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from streamkit.adapting import (
    BaseStreamingService,
    Gate,
    StreamResponse,
    asgi_headers,
    asgi_pass_through,
    asgi_respond,
    raw_headers,
    scrape,
)

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware", "metrics"]


class StreamingResponse:
    """An ASGI application that answers one request with one stream."""

    def __init__(self, response: StreamResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response

    # No coroutine of its own, which would take memory, and keep this response, for as long as the
    # stream is open. What looks for one, to tell applications of ASGI 3 from those of 2, finds it.
    @markcoroutinefunction
    def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> Coroutine[Any, Any, None]:
        """Send the stream. Returns early once the client has left.

        Raises what the source or the encoder raised: before the head was sent, if that fails at
        once.
        """
        assert scope["type"] == "http"
        return asgi_respond(self._response, self.status, self.headers, scope, receive, send)


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning ASGI applications: ``await response(scope, receive, send)``."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each HTTP request.

    ``tenant`` takes the scope and returns the tenant's name, or None for ``"system"``. Of the
    streams that come through it ``max_streams`` may be open at a time in a process: more are
    told to come back.
    """

    def __init__(
        self,
        app: ASGI3Application,
        *,
        tenant: Callable[[HTTPScope], str | None] | None = None,
        max_streams: int | None = None,
    ) -> None:
        self._app = app
        self._gate = Gate(tenant, max_streams)

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        await asgi_pass_through(self._gate, _as_it_is, self._app, scope, receive, send)


async def metrics(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """An ASGI application that answers Prometheus, at whatever path it is put."""
    assert scope["type"] == "http"
    answer = await asyncio.to_thread(scrape, scope["method"], asgi_headers(scope["headers"]))
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": raw_headers(answer.headers),
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _as_it_is(scope: HTTPScope) -> HTTPScope:
    return scope
