"""Live streams in the usual ways and by streamkit: each answers ``/scenario/way``.

The data of each event is when it was due, by a clock that all processes share, so that whoever gets
it knows how late it is.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import count
from random import random
from typing import Any, Final

import flask
import sse_starlette
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from fastapi.sse import ServerSentEvent as FastAPIEvent
from starlette.responses import StreamingResponse

from streamkit_adapters import asgi, wsgi
from streamkit_adapters import flask as streamkit_flask

from .delivery import two_tasks

__all__ = ["BURST", "FAN_OUT_PAUSE", "PAUSE", "asgi_app", "wsgi_app"]

PAUSE: Final = 0.005
"""Seconds between the events of a paced stream."""

FAN_OUT_PAUSE: Final = 0.05
"""Seconds between the events that go to all subscribers."""

BURST: Final = 200_000
"""Events of a burst."""

HELD: Final = 64
"""Events that a queue holds, as many as streamkit's buffer of events."""


async def paced() -> AsyncIterator[str]:
    # A moment that differs from client to client, so that they do not come all at once.
    due = time.monotonic() + PAUSE * random()
    while True:
        due += PAUSE
        await asyncio.sleep(due - time.monotonic())
        yield str(due)


_subscribers: set["asyncio.Queue[str]"] = set()
_publishing: list["asyncio.Task[None]"] = []


async def publish() -> None:
    due = time.monotonic()
    while True:
        due += FAN_OUT_PAUSE
        await asyncio.sleep(due - time.monotonic())
        text = str(due)
        for subscriber in _subscribers:
            if not subscriber.full():
                subscriber.put_nowait(text)


async def subscribed() -> AsyncIterator[str]:
    if not _publishing:
        _publishing.append(asyncio.create_task(publish()))
    queue: asyncio.Queue[str] = asyncio.Queue(HELD)
    _subscribers.add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        _subscribers.discard(queue)


async def idle() -> AsyncIterator[str]:
    yield "0"
    await asyncio.Event().wait()


async def burst() -> AsyncIterator[str]:
    for text in burst_sync():
        yield text


def burst_sync() -> Iterator[str]:
    # Each has one brace, by which a client counts them.
    return map("number {}}}".format, range(BURST))


SOURCES: Final[Mapping[str, Callable[[], Any]]] = {
    each.__name__: each for each in (paced, subscribed, idle, burst, burst_sync)
}

# The ways of ASGI

HEADERS: Final = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


def event(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


async def events(texts: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for text in texts:
        yield event(text)


async def raw(source: Any, scope: Any, receive: Any, send: Any) -> None:
    """A loop around ``send``, that does not even look whether the client is still there."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    async for text in source:
        await send({"type": "http.response.body", "body": event(text), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def two_tasks_(source: Any, scope: Any, receive: Any, send: Any) -> None:
    """The least by which a source goes on while a ``send`` waits, as streamkit's do."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await two_tasks(source, send)


async def starlette(source: Any, scope: Any, receive: Any, send: Any) -> None:
    body = events(source) if hasattr(source, "__aiter__") else map(event, source)
    await StreamingResponse(body, media_type="text/event-stream")(scope, receive, send)


async def sse_starlette_(source: Any, scope: Any, receive: Any, send: Any) -> None:
    await sse_starlette.EventSourceResponse(source)(scope, receive, send)


async def streamkit(source: Any, scope: Any, receive: Any, send: Any) -> None:
    await asgi.StreamingService.sse("live", source)(scope, receive, send)


_fastapi = FastAPI()


@_fastapi.get("/{scenario}/fastapi", response_class=EventSourceResponse)
async def fastapi_view(scenario: str) -> AsyncIterator[FastAPIEvent]:
    async for text in SOURCES[scenario]():
        yield FastAPIEvent(raw_data=text)


async def fastapi(source: Any, scope: Any, receive: Any, send: Any) -> None:
    await _fastapi(scope, receive, send)


ASGI_WAYS: Final[Mapping[str, Callable[..., Awaitable[None]]]] = {
    "raw": raw,
    "two-tasks": two_tasks_,
    "starlette": starlette,
    "fastapi": fastapi,
    "sse-starlette": sse_starlette_,
    "streamkit": streamkit,
}


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    _, scenario, way = scope["path"].split("/")
    await ASGI_WAYS[way](SOURCES[scenario](), scope, receive, send)


# The ways of WSGI


def paced_sync() -> Iterator[str]:
    due = time.monotonic() + PAUSE * random()
    while True:
        due += PAUSE
        time.sleep(max(0.0, due - time.monotonic()))
        yield str(due)


SYNC_SOURCES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "paced": paced_sync,
    "burst": burst_sync,
}


def raw_wsgi(source: Iterator[str], environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return map(event, source)


def two_threads(source: Iterator[str], environ: Any, start_response: Any) -> Iterable[bytes]:
    """One that reads and one that sends: the least by which a source goes on while a send waits."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    ready: deque[str] = deque()
    wake = threading.Lock()
    wake.acquire()

    def read() -> None:
        for text in source:
            ready.append(text)
            if wake.locked():
                wake.release()

    threading.Thread(target=read, daemon=True).start()
    for _ in count():
        while not ready:
            wake.acquire()
        yield event(ready.popleft())


_flask = flask.Flask(__name__)


@_flask.get("/<scenario>/flask")
def flask_view(scenario: str) -> flask.Response:
    body = map(event, SYNC_SOURCES[scenario]())
    return flask.Response(body, mimetype="text/event-stream")


@_flask.get("/<scenario>/streamkit-flask")
def streamkit_flask_view(scenario: str) -> Any:
    return streamkit_flask.StreamingService.sse("live", SYNC_SOURCES[scenario]())


def flask_(source: Iterator[str], environ: Any, start_response: Any) -> Iterable[bytes]:
    return _flask(environ, start_response)


def streamkit_wsgi(source: Iterator[str], environ: Any, start_response: Any) -> Iterable[bytes]:
    return wsgi.StreamingService.sse("live", source)(environ, start_response)


WSGI_WAYS: Final[Mapping[str, Callable[..., Iterable[bytes]]]] = {
    "raw": raw_wsgi,
    "two-threads": two_threads,
    "flask": flask_,
    "streamkit": streamkit_wsgi,
    "streamkit-flask": flask_,
}


def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    _, scenario, way = environ["PATH_INFO"].split("/")
    return WSGI_WAYS[way](SYNC_SOURCES[scenario](), environ, start_response)
