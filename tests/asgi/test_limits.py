"""What is let in, and what a live stream is told and tells, through the ASGI adapter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from limits.suite import AsyncSuite, View

from streamkit_adapters import asgi


class TestASGI(AsyncSuite):
    @contextmanager
    def serve(self, view: View, *, max_streams: int | None = None) -> Iterator[Callable[..., Any]]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await view(asgi.StreamingService)(scope, receive, send)

        yield asgi.StreamkitMiddleware(app, max_streams=max_streams)
