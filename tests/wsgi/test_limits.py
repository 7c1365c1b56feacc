"""What is let in, and what a live stream is told and tells, through the WSGI adapter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from limits.suite import Suite, View

from streamkit_adapters import wsgi


class TestWSGI(Suite):
    is_async = False

    @contextmanager
    def serve(self, view: View, *, max_streams: int | None = None) -> Iterator[Callable[..., Any]]:
        def app(environ: Any, start_response: Any) -> Any:
            return view(wsgi.StreamingService)(environ, start_response)

        yield wsgi.StreamkitMiddleware(app, max_streams=max_streams)
