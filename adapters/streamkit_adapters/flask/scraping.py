"""The view for Prometheus."""

import flask

from streamkit.adapting import scrape

__all__ = ["metrics"]


def metrics() -> flask.Response:
    """A view that answers Prometheus: ``app.add_url_rule("/metrics", view_func=metrics)``."""
    answer = scrape(flask.request.method, flask.request.headers)
    return flask.Response(answer.body, answer.status, answer.headers)
