"""What is let in, and what a live stream is told and tells, through the WSGI adapter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from limits.suite import Suite, View

from streamkit_adapters import wsgi


class TestWSGI(Suite):
    is_async = False

    @contextmanager
    def serve(
        self,
        view: View,
        *,
        max_streams: int | None = None,
        tenant: str | None = None,
        nested: bool = False,
    ) -> Iterator[Callable[..., Any]]:
        def app(environ: Any, start_response: Any) -> Any:
            return view(wsgi.StreamingService)(environ, start_response)

        inner: Any = wsgi.StreamkitMiddleware(app) if nested else app
        yield wsgi.StreamkitMiddleware(inner, tenant=lambda _: tenant, max_streams=max_streams)
