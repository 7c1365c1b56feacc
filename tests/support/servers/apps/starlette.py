from servers.noting import noting_asgi
from servers.streams import answer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamkit_adapters.starlette import StreamingService, StreamkitMiddleware


async def view(request: Request) -> Response:
    return answer(StreamingService, request.url.path, request.query_params)


asgi_app = noting_asgi(
    Starlette(routes=[Route("/{path:path}", view)], middleware=[Middleware(StreamkitMiddleware)])  # type: ignore[arg-type]
)
