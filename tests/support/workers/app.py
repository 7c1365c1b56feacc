"""``/live?channel=…`` streams, ``/publish?channel=…&text=…`` publishes: for WSGI and for ASGI.

``/answer?key=…`` starts an answer without an end, whose source says when it is ``closed``. Any
other path answers with the number of the process. With ``USED_BEFORE`` in the environment the
channels are used as this is imported: with a server that loads applications before it forks, by the
process that forks.
"""

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs

from streamkit import Channel, Resumable
from streamkit_adapters import asgi, wsgi

answers = Resumable("workers")

followed = None

if os.environ.get("USED_BEFORE"):
    Channel("before").publish("used")
    # It is there for good, and so is the reader.
    followed = iter(Channel("before"))


def _numbers() -> Iterator[int]:
    try:
        for number in itertools.count():
            yield number
            time.sleep(0.01)
    finally:
        print("closed", flush=True)


async def _anumbers() -> AsyncIterator[int]:
    try:
        for number in itertools.count():
            yield number
            await asyncio.sleep(0.01)
    finally:
        print("closed", flush=True)


def _wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    channel = Channel(query.get("channel", "none"))
    if environ["PATH_INFO"] == "/live":
        response = wsgi.StreamingService.sse("live", channel)
        response.headers["X-Process"] = f"{os.getpid()}"
        return response(environ, start_response)
    if environ["PATH_INFO"] == "/answer":
        answer = answers.start(query["key"], _numbers())
        return wsgi.StreamingService.sse("answer", answer)(environ, start_response)
    is_event = environ["PATH_INFO"] == "/publish"
    text = channel.publish(query["text"]) if is_event else f"{os.getpid()}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    channel = Channel(query.get("channel", "none"))
    if scope["path"] == "/live":
        response = asgi.StreamingService.sse("live", channel)
        response.headers["X-Process"] = f"{os.getpid()}"
        await response(scope, receive, send)
        return
    if scope["path"] == "/answer":
        answer = answers.start(query["key"], _anumbers())
        await asgi.StreamingService.sse("answer", answer)(scope, receive, send)
        return
    is_event = scope["path"] == "/publish"
    text = await channel.apublish(query["text"]) if is_event else f"{os.getpid()}"
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


# As the docs have it: they hear from their server when it is about to end.
wsgi_app = wsgi.StreamkitMiddleware(_wsgi)
asgi_app = asgi.StreamkitMiddleware(_asgi)
