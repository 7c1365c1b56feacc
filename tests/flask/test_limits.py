"""What is let in, and what a live stream is told and tells, in Flask."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flask
from limits.suite import Suite, View

from streamkit_adapters import flask as flask_adapter


class TestFlask(Suite):
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
        app = flask.Flask(__name__)
        if nested:
            flask_adapter.StreamkitMiddleware(app)
        flask_adapter.StreamkitMiddleware(app, tenant=lambda _: tenant, max_streams=max_streams)
        app.add_url_rule("/", view_func=lambda: view(flask_adapter.StreamingService))
        yield app

    def wrap(self, response: Any) -> Any:
        response.response = map(bytes, response.response)
        return response
