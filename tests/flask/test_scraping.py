"""Flask's view for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
from scraping.suite import Suite

from streamkit_adapters.flask import metrics


class TestFlask(Suite):
    @contextmanager
    def serve(self) -> Iterator[Any]:
        app = flask.Flask(__name__)
        app.add_url_rule("/", view_func=metrics)
        yield app
