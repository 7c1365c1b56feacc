"""Behind middleware that reads the body of the request, and gives it again."""

from typing import Any

from servers.noting import noting_asgi
from servers.streams import answer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from streamkit_adapters.starlette import StreamingService, StreamkitMiddleware


class PutBack(BaseHTTPMiddleware):
    """As many people write it."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        body = await request.body()

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        request._receive = receive
        response: Response = await call_next(request)
        return response


class Replay:
    """It answers at once, always, and never that the client has left."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await receive()

        async def again() -> Any:
            return body

        await self._app(scope, again, send)


async def view(request: Request) -> Response:
    return answer(StreamingService, f"/{request.path_params['path']}", request.query_params)


asgi_app = noting_asgi(
    Starlette(
        routes=[
            Mount(
                f"/{middleware.__name__}",
                routes=[Route("/{path:path}", view, methods=["GET", "POST"])],
                middleware=[Middleware(middleware)],  # type: ignore[arg-type]
            )
            for middleware in (PutBack, Replay)
        ],
        middleware=[Middleware(StreamkitMiddleware)],
    )
)
