"""The routes of the demo, as a plain ASGI application."""

from typing import cast

import msgspec
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
    def route(method: str, path: str) -> ASGI3Application:
        match method, path:
            case "GET", "/figures/sync":
                return demo.figures("sync")
            case "GET", "/figures/async":
                return demo.figures("async")
            case "POST", "/drop":
                demo.drop()
                return reply(Document())
            case "GET", "/board":
                return demo.board()
            case "POST", "/board":
                return paint
            case "GET", "/board.json":
                return board_state
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
            case "GET", _:
                return reply(demo.document(path))
        return reply(Document())  # to OPTIONS: may the page send a Last-Event-ID?

    async def paint(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        document = Document()
        try:
            await demo.painted.apaint(cast("HTTPScope", scope)["query_string"].decode())
        except ValueError as error:
            document = Document(f"{error}\n".encode(), status=400)
        await reply(document)(scope, receive, send)

    async def board_state(
        scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        body = msgspec.json.encode(await demo.painted.astate())
        await reply(Document(body, "application/json"))(scope, receive, send)

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

        await route(scope["method"], scope["path"])(scope, receive, add_headers)

    return StreamkitMiddleware(app, tenant=lambda _: "asgi")


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
