"""An application that has streamed, and has streams open, before its server forks."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from servers import control  # noqa: F401 - it tells that this was loaded

from streamkit import StreamingService
from streamkit_adapters import asgi, wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ROWS = 1000


def rows() -> Iterator[Any]:
    for n in range(ROWS):
        yield {"n": n, "pid": os.getpid()}


async def async_rows() -> AsyncIterator[Any]:
    for row in rows():
        await asyncio.sleep(0)
        yield row


SOURCES: dict[str, Any] = {"sync": rows, "async": async_rows}


def wsgi_app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    source = SOURCES[environ["QUERY_STRING"].removeprefix("source=")]
    response = wsgi.StreamingService.export("rows", source(), "ndjson")
    return response(environ, start_response)


async def asgi_app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] != "http":
        # So a server is told that there is no lifespan.
        raise NotImplementedError(scope["type"])
    source = SOURCES[scope["query_string"].decode().removeprefix("source=")]
    await asgi.StreamingService.export("rows", source(), "ndjson")(scope, receive, send)


def open_here(source: str) -> Iterator[bytes]:
    return iter(StreamingService.export("rows", SOURCES[source](), "ndjson"))


for source in SOURCES:
    assert b"".join(open_here(source)).count(b"\n") == ROWS
opened = [open_here(source) for source in SOURCES]
for chunks in opened:
    next(chunks)
