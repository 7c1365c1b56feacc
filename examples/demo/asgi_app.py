"""The routes of the demo, as a plain ASGI application."""

import asyncio
from collections.abc import Callable
from typing import cast

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from streamkit_adapters.asgi import StreamingResponse, StreamkitMiddleware

from .service import Demo, Document


def asgi_app(demo: Demo[StreamingResponse]) -> ASGI3Application:
    def route(scope: HTTPScope, origin: str) -> ASGI3Application:
        query = scope["query_string"].decode()
        match scope["method"], scope["path"]:
            case "GET", "/figures/sync":
                return demo.figures("sync")
            case "GET", "/figures/async":
                return demo.figures("async")
            case "POST", "/drop":
                return reply_from(demo.drop)
            case "GET", "/board":
                return demo.board()
            case "POST", "/board":
                return reply_from(lambda: demo.paint(query))
            case "GET", "/board.json":
                return reply_from(demo.state)
            case "POST", "/kill":
                return reply_from(lambda: demo.kill(query, origin))
            case "GET", "/flood":
                return demo.flood()
            case "GET", "/lines.json":
                return demo.lines("json")
            case "GET", "/lines.csv":
                return demo.lines("csv")
            case "GET", "/lines.ndjson":
                return demo.lines("ndjson")
            case "GET", "/library.tar":
                return demo.archive()
            case "GET", "/library.tar.sha256":
                return demo.digest()
            case "GET", path:
                return reply(demo.document(path))
        return reply(Document())  # to OPTIONS: may the page send a Last-Event-ID?

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope = cast("HTTPScope", scope)
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        headers = {
            name.lower().encode(): value.encode() for name, value in demo.headers(origin).items()
        }

        async def add_headers(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = (dict(event["headers"]) | headers).items()
            await send(event)

        await route(scope, origin)(scope, receive, add_headers)

    return StreamkitMiddleware(app, tenant=lambda _: "asgi")


def reply_from(work: Callable[[], Document]) -> ASGI3Application:
    """An application whose answer takes some time: on a thread, as a loop waits for nobody."""

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await reply(await asyncio.to_thread(work))(scope, receive, send)

    return app


def reply(document: Document) -> ASGI3Application:
    """An application that answers with all of the document at once."""
    headers = [
        (b"content-type", document.content_type.encode()),
        (b"content-length", b"%d" % len(document.body)),
    ]

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": document.status,
                "headers": headers,
                "trailers": False,
            }
        )
        await send({"type": "http.response.body", "body": document.body, "more_body": False})

    return app
