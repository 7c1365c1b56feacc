"""The test kit on Flask's own apps and responses."""

from typing import Any

import flask
from kit.suite import Suite

from streamkit_adapters.flask import StreamingService


class TestApp(Suite):
    def target(self, source: Any) -> Any:
        app = flask.Flask("shop")
        app.get("/ticks")(lambda: StreamingService.sse("s", source))
        return app


class TestResponse(Suite):
    def target(self, source: Any) -> Any:
        return StreamingService.sse("s", source)
