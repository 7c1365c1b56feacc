"""What is let in, and what a live stream is told and tells, in Starlette."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from limits.suite import AsyncSuite, View
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamkit_adapters import starlette as starlette_adapter


class TestStarlette(AsyncSuite):
    @contextmanager
    def serve(
        self,
        view: View,
        *,
        max_streams: int | None = None,
        tenant: str | None = None,
        nested: bool = False,
    ) -> Iterator[Callable[..., Any]]:
        async def endpoint(request: Request) -> Response:
            response: Response = view(starlette_adapter.StreamingService)
            return response

        ours: Any = starlette_adapter.StreamkitMiddleware
        outer = Middleware(ours, tenant=lambda _: tenant, max_streams=max_streams)
        inner = [Middleware(ours)] if nested else []
        yield Starlette(routes=[Route("/", endpoint)], middleware=[outer, *inner])
