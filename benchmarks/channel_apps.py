"""One event for many clients, each way as its own documentation has it: applications of ASGI.

``/events`` is the stream. ``/publish`` begins to publish, as its query says: ``rate`` events a
second, ``count`` of them, with ``size`` bytes more than they have. Each carries the time when it
was due. ``/ping`` is any other request.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import django
from broadcaster import Broadcast
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import include, path
from litestar import Litestar, get
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.response import ServerSentEvent as LitestarEvent
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streamkit import Channel
from streamkit_adapters.asgi import StreamingService
from streamkit_adapters.starlette import StreamingService as StarletteService

__all__ = [
    "APPS",
    "CHANNEL",
    "NAME",
    "App",
    "Named",
    "Queues",
    "app",
    "django_eventstream_with",
    "encoded",
    "event",
    "with_publisher",
]

Publish = Callable[[Any], Awaitable[object]]
App = Callable[[Any, Any, Any], Awaitable[None]]

CHANNEL: Final = "events"

NAME: Final = "BENCHMARK_APP"
"""The environment variable that names an application."""


def event(due: float, number: int) -> dict[str, Any]:
    return {"due": due, "number": number, "symbol": "ACME", "price": 101.25, "currency": "EUR"}


async def publish_all(publish: Publish, rate: float, count: int, size: int) -> None:
    due = time.monotonic()
    for number in range(count):
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        value = event(due, number)
        await publish(value | {"padding": "x" * size} if size else value)


def with_publisher(app: App, publish: Publish) -> App:
    publishers = set()

    async def published(scope: Any, receive: Any, send: Any) -> None:
        route = scope.get("path")
        if route not in ("/publish", "/ping"):
            await app(scope, receive, send)
            return
        if route == "/publish":
            query = parse_qs(scope["query_string"].decode())
            rate, count = float(query["rate"][0]), int(query["count"][0])
            size = int(query.get("size", ["0"])[0])
            publishers.add(asyncio.create_task(publish_all(publish, rate, count, size)))
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    return published


class Named:
    """The application that the environment names, made in the process that serves it."""

    def __init__(self, apps: Mapping[str, Callable[[], App]]) -> None:
        self._apps = apps
        self._app: App | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            self._app = self._apps[os.environ[NAME]]()
        await self._app(scope, receive, send)


def encoded(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


class Queues:
    """A queue for each subscriber, as most people write it."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Any]] = set()

    async def publish(self, value: Any) -> None:
        for queue in self._queues:
            queue.put_nowait(value)

    async def publish_bytes(self, value: Any) -> None:
        await self.publish(encoded(value))

    def join(self) -> asyncio.Queue[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._queues.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[Any]) -> None:
        self._queues.discard(queue)


def raw() -> App:
    """Ready bytes, sent by hand."""
    queues = Queues()
    headers = [(b"content-type", b"text/event-stream")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        queue = queues.join()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while True:
                chunk = await queue.get()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            queues.leave(queue)

    return with_publisher(app, queues.publish_bytes)


def plain() -> App:
    """streamkit on no framework."""
    channel = Channel(CHANNEL)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await StreamingService.sse("events", channel)(scope, receive, send)

    return with_publisher(app, channel.apublish)


def streamkit() -> App:
    channel = Channel(CHANNEL)

    async def events(request: Request) -> Response:
        return StarletteService.sse("events", channel)

    return with_publisher(Starlette(routes=[Route("/events", events)]), channel.apublish)


def starlette() -> App:
    queues = Queues()

    async def values() -> AsyncIterator[bytes]:
        queue = queues.join()
        try:
            while True:
                yield encoded(await queue.get())
        finally:
            queues.leave(queue)

    async def events(request: Request) -> Response:
        return StreamingResponse(values(), media_type="text/event-stream")

    return with_publisher(Starlette(routes=[Route("/events", events)]), queues.publish)


def sse_starlette() -> App:
    queues = Queues()

    async def values() -> AsyncIterator[Any]:
        queue = queues.join()
        try:
            while True:
                yield {"data": json.dumps(await queue.get())}
        finally:
            queues.leave(queue)

    async def events(request: Request) -> Response:
        return EventSourceResponse(values())

    return with_publisher(Starlette(routes=[Route("/events", events)]), queues.publish)


def broadcaster() -> App:
    broadcast = Broadcast("memory://")
    connecting: list[asyncio.Task[None]] = []

    async def values() -> AsyncIterator[bytes]:
        async with broadcast.subscribe(CHANNEL) as subscriber:
            async for each in subscriber:  # type: ignore[union-attr]
                yield b"data: " + each.message.encode() + b"\n\n"  # type: ignore[union-attr]

    async def events(request: Request) -> Response:
        if not connecting:
            connecting.append(asyncio.create_task(broadcast.connect()))
        await connecting[0]
        return StreamingResponse(values(), media_type="text/event-stream")

    async def publish(value: Any) -> None:
        await broadcast.publish(CHANNEL, json.dumps(value))

    return with_publisher(Starlette(routes=[Route("/events", events)]), publish)


def litestar() -> App:
    plugin = ChannelsPlugin(backend=MemoryChannelsBackend(), channels=[CHANNEL])
    entering: list[asyncio.Task[Any]] = []

    @get("/events")
    async def events() -> LitestarEvent:
        async def values() -> AsyncIterator[str]:
            async with plugin.start_subscription([CHANNEL]) as subscriber:
                async for each in subscriber.iter_events():
                    yield each.decode()

        return LitestarEvent(values())

    app = Litestar([events], plugins=[plugin])

    async def started(scope: Any, receive: Any, send: Any) -> None:
        # There is no lifespan in these runs.
        if not entering:
            entering.append(asyncio.create_task(plugin.__aenter__()))
        await entering[0]
        await app(scope, receive, send)

    async def publish(value: Any) -> None:
        plugin.publish(value, [CHANNEL])

    return with_publisher(started, publish)


def django_eventstream() -> App:
    return django_eventstream_with()


def django_eventstream_with(**more: Any) -> App:
    settings.configure(
        SECRET_KEY="of a benchmark",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django_eventstream"],
        LOGGING_CONFIG=None,
        **more,
    )
    django.setup()
    from django_eventstream import send_event  # type: ignore[import-untyped]
    from django_eventstream import urls as eventstream

    urlpatterns.append(path("events", include(eventstream), {"channels": [CHANNEL]}))

    async def publish(value: Any) -> None:
        await asyncio.to_thread(send_event, CHANNEL, "message", value)

    return with_publisher(get_asgi_application(), publish)


urlpatterns: list[Any] = []

APPS: Final[dict[str, Callable[[], App]]] = {
    "raw ASGI, ready bytes": raw,
    "streamkit, no framework": plain,
    "streamkit, Starlette": streamkit,
    "Starlette, encode per client": starlette,
    "sse-starlette, queues": sse_starlette,
    "broadcaster, Starlette": broadcaster,
    "Litestar, channels plugin": litestar,
    "django-eventstream": django_eventstream,
}

app: Final = Named(APPS)
