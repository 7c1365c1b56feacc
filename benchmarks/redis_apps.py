"""One event for the clients of several processes, by way of a Redis: applications of ASGI.

Each as its own documentation has it, with the routes of ``channel_apps``: an event that one process
publishes is for the clients of all. ``BENCHMARK_REDIS`` has the URL.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import redis.asyncio
from broadcaster import Broadcast
from litestar import Litestar, get
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.redis import (
    RedisChannelsPubSubBackend,
    RedisChannelsStreamBackend,
)
from litestar.response import ServerSentEvent as LitestarEvent
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streamkit import Channel, channels
from streamkit_adapters.starlette import StreamingService, StreamkitMiddleware

from .channel_apps import (
    CHANNEL,
    App,
    Named,
    Queues,
    django_eventstream_with,
    encoded,
    with_publisher,
)

__all__ = ["APPS", "URL", "app"]

URL: Final = "BENCHMARK_REDIS"


def url() -> str:
    return os.environ[URL]


class Once:
    """Begins with the first request what a lifespan would begin: there is none in these runs."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._task: asyncio.Task[Any] | None = None

    async def __call__(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._begin())
        await self._task


def raw() -> App:
    """A subscription a process, a queue a client, and bytes that are made once a process."""
    queues, client = Queues(), redis.asyncio.Redis.from_url(url())
    headers = [(b"content-type", b"text/event-stream")]
    reading: list[asyncio.Task[None]] = []

    async def read(pubsub: Any) -> None:
        async for message in pubsub.listen():
            if message["type"] == "message":
                await queues.publish(b"data: " + message["data"] + b"\n\n")

    async def begin() -> None:
        pubsub = client.pubsub()
        await pubsub.subscribe(CHANNEL)
        reading.append(asyncio.create_task(read(pubsub)))

    begun = Once(begin)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await begun()
        queue = queues.join()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while True:
                chunk = await queue.get()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            queues.leave(queue)

    async def publish(value: Any) -> None:
        await client.publish(CHANNEL, json.dumps(value))

    return with_publisher(app, publish)


def streamkit() -> App:
    channels.use(url())
    channel = Channel(CHANNEL)

    async def events(request: Request) -> Response:
        return StreamingService.sse("events", channel)

    app = Starlette(routes=[Route("/events", events)])
    app.add_middleware(StreamkitMiddleware)
    return with_publisher(app, channel.apublish)


def broadcaster() -> App:
    broadcast = Broadcast(url())
    begun = Once(broadcast.connect)

    async def values() -> AsyncIterator[bytes]:
        async with broadcast.subscribe(CHANNEL) as subscriber:
            async for each in subscriber:  # type: ignore[union-attr]
                yield b"data: " + each.message.encode() + b"\n\n"  # type: ignore[union-attr]

    async def events(request: Request) -> Response:
        await begun()
        return StreamingResponse(values(), media_type="text/event-stream")

    async def publish(value: Any) -> None:
        await begun()
        await broadcast.publish(CHANNEL, json.dumps(value))

    return with_publisher(Starlette(routes=[Route("/events", events)]), publish)


def sse_starlette() -> App:
    """A subscription a client, as a generator that reads ``pubsub.listen()`` has it."""
    # Of itself redis-py refuses the 101st connection, and each client is one.
    client = redis.asyncio.Redis.from_url(url(), max_connections=10_000)

    async def values() -> AsyncIterator[Any]:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    yield {"data": message["data"].decode()}

    async def events(request: Request) -> Response:
        return EventSourceResponse(values())

    async def publish(value: Any) -> None:
        await client.publish(CHANNEL, encoded_json(value))

    return with_publisher(Starlette(routes=[Route("/events", events)]), publish)


def encoded_json(value: Any) -> bytes:
    return encoded(value).removeprefix(b"data: ").rstrip()


def litestar(backend: Any) -> App:
    plugin = ChannelsPlugin(backend=backend, channels=[CHANNEL])

    @get("/events")
    async def events() -> LitestarEvent:
        async def values() -> AsyncIterator[str]:
            async with plugin.start_subscription([CHANNEL]) as subscriber:
                async for each in subscriber.iter_events():
                    yield each.decode()

        return LitestarEvent(values())

    app = Litestar([events], plugins=[plugin])
    begun = Once(plugin.__aenter__)

    async def started(scope: Any, receive: Any, send: Any) -> None:
        await begun()
        await app(scope, receive, send)

    async def publish(value: Any) -> None:
        await begun()
        await plugin.wait_published(value, [CHANNEL])

    return with_publisher(started, publish)


def litestar_pubsub() -> App:
    return litestar(RedisChannelsPubSubBackend(redis=redis.asyncio.Redis.from_url(url())))


def litestar_stream() -> App:
    return litestar(
        RedisChannelsStreamBackend(history=1_000, redis=redis.asyncio.Redis.from_url(url()))
    )


def django_eventstream() -> App:
    where = urlsplit(url())
    connection = {"host": where.hostname, "port": where.port}
    return django_eventstream_with(
        EVENTSTREAM_REDIS=connection,
        EVENTSTREAM_STORAGE_CLASS="django_eventstream.storage.RedisStorage",
        EVENTSTREAM_STORAGE_CONNECTION=connection,
    )


APPS: Final[dict[str, Callable[[], App]]] = {
    "redis-py pub/sub, a queue a client": raw,
    "streamkit": streamkit,
    "broadcaster": broadcaster,
    "Litestar, pub/sub": litestar_pubsub,
    "Litestar, streams": litestar_stream,
    "sse-starlette, pub/sub a client": sse_starlette,
    "django-eventstream, with storage": django_eventstream,
}

app: Final = Named(APPS)
