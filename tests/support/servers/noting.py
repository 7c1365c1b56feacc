"""Around an application: what notes when the server tells it that a client left."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from servers import control
from servers.state import Account
from servers.streams import asked

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["noting_asgi", "noting_wsgi"]


def _note_disconnect(account: Account) -> None:
    if account.told is None:
        account.told = account.given


class _NotedBody:
    """A server of WSGI tells by closing the body."""

    def __init__(self, body: Iterable[bytes], query_string: str) -> None:
        self._body = body
        self._query_string = query_string

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        _note_disconnect(asked(self._query_string))
        if hasattr(self._body, "close"):
            self._body.close()


def noting_wsgi(app: "WSGIApplication") -> "WSGIApplication":
    def noting(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return _NotedBody(app(environ, start_response), environ["QUERY_STRING"])

    return noting


def noting_asgi(app: ASGI3Application) -> ASGI3Application:
    """A server of ASGI tells by an event."""

    async def noting(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["type"] == "http"
        loop = asyncio.get_running_loop()
        control.loops.add(loop)
        query_string = scope["query_string"].decode()
        burst = 0

        async def noting_receive() -> ASGIReceiveEvent:
            event = await receive()
            if event["type"] == "http.disconnect":
                _note_disconnect(asked(query_string))
            return event

        async def noting_send(event: ASGISendEvent) -> None:
            nonlocal burst
            if not burst:
                loop.call_soon(turn)
            burst += 1
            await send(event)

        def turn() -> None:
            nonlocal burst
            account = asked(query_string)
            account.burst = max(account.burst, burst)
            burst = 0

        await app(scope, noting_receive, noting_send)

    return noting
