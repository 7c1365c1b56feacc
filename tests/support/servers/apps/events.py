"""Event streams for other people's clients.

``/events`` is the script that they all read, ``/bare`` the same without names and ids, and
``/chat/completions`` the same with the end that a client of OpenAI's waits for. ``/parts`` sends
two events at a time, those that follow the last that its client has seen. ``/process`` sends the id
of the process, and then nothing. ``/page`` is one for a browser, with nothing on it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from clients.script import Wire, script

import streamkit
from streamkit import ServerSentEvent, kind, response
from streamkit.stream import batches
from streamkit_adapters import asgi, wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

kind.SSE = replace(kind.SSE, heartbeat=0.05)

if retry := os.environ.get("TEST_RETRY"):
    response.RETRY = batches.RETRY = (int(retry), int(retry))  # type: ignore[attr-defined, misc]


def parts() -> Iterator[ServerSentEvent]:
    seen = int(streamkit.context.get().last_event_id or 0)
    for number in (seen + 1, seen + 2):
        yield ServerSentEvent(number, id=f"{number}", retry=10)


async def process() -> AsyncIterator[int]:
    yield os.getpid()
    await asyncio.Event().wait()


def answer(service: Any, path: str, wire: Wire) -> Any:
    match path:
        case "/events":
            return service.sse("events", script(wire))
        case "/bare":
            return service.sse("bare", script(wire, bare=True))
        case "/chat/completions":
            return service.sse("chat", chain(script(wire), ["[DONE]"]))
        case "/parts":
            return service.sse("parts", parts())
        case "/process":
            return service.sse("process", process())
        case "/page":
            return service.download(b"", filename="page.html", inline=True)
    raise LookupError(path)


def _wsgi(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    wire = Wire()
    answered: wsgi.StreamingResponse = answer(wsgi.StreamingService, environ["PATH_INFO"], wire)
    return passed_on(answered(environ, start_response), wire)


def passed_on(chunks: Any, wire: Wire) -> Iterator[bytes]:
    try:
        yield from map(wire.pass_on, chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


async def _asgi(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    assert scope["type"] == "http"
    wire = Wire()

    async def send_on(message: Any) -> None:
        await asyncio.to_thread(wire.pass_on, message.get("body", b""))
        await send(message)

    answered: asgi.StreamingResponse = answer(asgi.StreamingService, scope["path"], wire)
    await answered(scope, receive, send_on)


max_streams = int(os.environ["TEST_MAX_STREAMS"]) if "TEST_MAX_STREAMS" in os.environ else None
wsgi_app = wsgi.StreamkitMiddleware(_wsgi, max_streams=max_streams)
asgi_app = asgi.StreamkitMiddleware(_asgi, max_streams=max_streams)
