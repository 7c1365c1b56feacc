"""What ``benchmarks.workers`` serves: channels, and redis-py's pub/sub with a queue a client."""

import asyncio
import os
import queue
import threading
from collections.abc import Iterator
from typing import Any

import redis
import redis.asyncio

from streamkit import Channel
from streamkit.channels.engine import VARIABLE
from streamkit_adapters import asgi, wsgi

HEADERS = [(b"content-type", b"text/event-stream")]


async def ours_asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await asgi.StreamingService.sse("orders", Channel("orders"))(scope, receive, send)


def ours_wsgi(environ: Any, start_response: Any) -> Any:
    return wsgi.StreamingService.sse("orders", Channel("orders"))(environ, start_response)


queues: set[asyncio.Queue[bytes]] = set()
reading: list[Any] = []


async def read() -> None:
    client: Any = redis.asyncio.Redis.from_url(os.environ[VARIABLE], socket_timeout=None)
    messages = client.pubsub(ignore_subscribe_messages=True)
    await messages.subscribe("raw")
    async for message in messages.listen():
        for each in queues:
            each.put_nowait(message["data"])


async def raw_asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if not reading:
        reading.append(asyncio.create_task(read()))
    own: asyncio.Queue[bytes] = asyncio.Queue(64)
    queues.add(own)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    while True:
        body = await own.get()
        await send({"type": "http.response.body", "body": body, "more_body": True})


thread_queues: set[queue.SimpleQueue[bytes]] = set()
lock = threading.Lock()


def read_on_a_thread() -> None:
    client: Any = redis.Redis.from_url(os.environ[VARIABLE], socket_timeout=None)
    messages = client.pubsub(ignore_subscribe_messages=True)
    messages.subscribe("raw")
    for message in messages.listen():
        for each in [*thread_queues]:
            each.put(message["data"])


def raw_wsgi(environ: Any, start_response: Any) -> Iterator[bytes]:
    with lock:
        if not reading:
            reading.append(threading.Thread(target=read_on_a_thread, daemon=True))
            reading[0].start()
    own: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    thread_queues.add(own)
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    while True:
        yield own.get()
