"""``/live?channel=…`` streams, ``/publish?channel=…&text=…`` publishes: for WSGI and for ASGI.

Any other path answers with the number of the process. With ``USED_BEFORE`` in the environment the
channels are used as this is imported: with a server that loads applications before it forks, by the
process that forks.
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


def _wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    channel = Channel(query.get("channel", "none"))
    if environ["PATH_INFO"] == "/live":
        response = wsgi.StreamingService.sse("live", channel)
        response.headers["X-Process"] = f"{os.getpid()}"
        return response(environ, start_response)
    is_event = environ["PATH_INFO"] == "/publish"
    answer = channel.publish(query["text"]) if is_event else f"{os.getpid()}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    channel = Channel(query.get("channel", "none"))
    if scope["path"] == "/live":
        response = asgi.StreamingService.sse("live", channel)
        response.headers["X-Process"] = f"{os.getpid()}"
        await response(scope, receive, send)
        return
    is_event = scope["path"] == "/publish"
    answer = await channel.apublish(query["text"]) if is_event else f"{os.getpid()}"
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.encode()})


# As the docs have it: they hear from their server when it is about to end.
wsgi_app = wsgi.StreamkitMiddleware(_wsgi)
asgi_app = asgi.StreamkitMiddleware(_asgi)
