"""What is let in, and what a live stream is told and tells, through the ASGI adapter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from limits.suite import AsyncSuite, View

from streamkit_adapters import asgi


class TestASGI(AsyncSuite):
    @contextmanager
    def serve(
        self,
        view: View,
        *,
        max_streams: int | None = None,
        tenant: str | None = None,
        nested: bool = False,
    ) -> Iterator[Callable[..., Any]]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await view(asgi.StreamingService)(scope, receive, send)

        inner: Any = asgi.StreamkitMiddleware(app) if nested else app
        yield asgi.StreamkitMiddleware(inner, tenant=lambda _: tenant, max_streams=max_streams)
