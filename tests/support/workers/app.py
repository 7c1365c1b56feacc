"""``/live?channel=…`` streams, ``/publish?channel=…&text=…`` publishes: for WSGI and for ASGI.

With ``USED_BEFORE`` in the environment the channels are used as this is imported: with a server
that loads applications before it forks, by the process that forks.
"""

import os
from typing import Any
from urllib.parse import parse_qs

from streamkit import Channel
from streamkit_adapters import asgi, wsgi

followed = None

if os.environ.get("USED_BEFORE"):
    Channel("before").publish("used")
    # It is there for good, and so is the reader.
    followed = iter(Channel("before"))


def wsgi_app(environ: dict[str, Any], start_response: Any) -> Any:
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    channel = Channel(query.get("channel", "none"))
    if environ["PATH_INFO"] == "/live":
        response = wsgi.StreamingService.sse("live", channel)
        response.headers["X-Process"] = f"{os.getpid()}"
        return response(environ, start_response)
    event_id = channel.publish(query["text"]) if environ["PATH_INFO"] == "/publish" else ""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [event_id.encode()]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    channel = Channel(query.get("channel", "none"))
    if scope["path"] == "/live":
        response = asgi.StreamingService.sse("live", channel)
        response.headers["X-Process"] = f"{os.getpid()}"
        await response(scope, receive, send)
        return
    event_id = await channel.apublish(query["text"]) if scope["path"] == "/publish" else ""
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": event_id.encode()})
