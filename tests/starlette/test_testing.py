"""The test kit on Starlette's own apps and responses."""

from collections.abc import Callable
from typing import Any

from kit.suite import Suite
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from streamkit_adapters.starlette import StreamingService


class TestApp(Suite):
    def target(self, source: Any) -> Any:
        async def pass_on(request: Any, call_next: Callable[[Any], Any]) -> Any:
            return await call_next(request)

        return Starlette(
            routes=[Route("/ticks", lambda request: StreamingService.sse("s", source))],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
        )


class TestResponse(Suite):
    def target(self, source: Any) -> Any:
        return StreamingService.sse("s", source)
