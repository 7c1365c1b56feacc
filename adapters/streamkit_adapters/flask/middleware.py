"""The middleware: the context of a request, the limit of streams, and a route for Prometheus."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import flask

from streamkit.adapting import check_tenant, context, expose, tenant_name
from streamkit_adapters import wsgi

__all__ = ["StreamkitMiddleware"]


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request of an app.

    ``tenant`` takes the Flask request and returns the tenant's name, or None for ``"system"``. It
    is called before the request is handled, when ``session`` is there already. ``max_streams`` may
    be open at a time in a process: more are told to come back. ``metrics`` is the path of a route,
    ``"/metrics"`` say, where Prometheus finds the metrics. Without ``app``, ``init_app`` follows.

    Raises TypeError for any other ``app``, such as ``app.wsgi_app``, around which it puts itself, a
    ``tenant`` that is no function, and ``metrics`` that are no path.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        tenant: Callable[[flask.Request], str | None] | None = None,
        max_streams: int | None = None,
        metrics: str | None = None,
    ) -> None:
        check_tenant(tenant)
        if metrics is not None and not (isinstance(metrics, str) and metrics.startswith("/")):
            raise TypeError(
                f'metrics must be the path of a route, such as "/metrics", or None, got {metrics!r}'
            )
        self._tenant = tenant
        self._max_streams = max_streams
        self._metrics = metrics
        if app is not None:
            self.init_app(app)

    if not TYPE_CHECKING:

        def __call__(self, *arguments: Any) -> NoReturn:
            """As a server calls it where it was put in the place of the app."""
            raise TypeError(
                "StreamkitMiddleware(app) puts itself around app.wsgi_app, and is no app: serve "
                "the app itself"
            )

    def init_app(self, app: flask.Flask) -> None:
        """Put the middleware around ``app``. Each app has ``max_streams`` of its own.

        Raises TypeError for anything but a Flask app, and TypeError or ValueError for a
        ``max_streams`` that is no positive int.
        """
        if not isinstance(app, flask.Flask):
            raise TypeError(
                f"app must be the Flask app itself, got {type(app).__name__}: call "
                "StreamkitMiddleware(app), which puts itself around app.wsgi_app"
            )
        app.wsgi_app = wsgi.StreamkitMiddleware(  # type: ignore[method-assign]
            app.wsgi_app, max_streams=self._max_streams
        )
        if self._tenant is not None:
            app.before_request(partial(_set_tenant, self._tenant))
        if self._metrics is not None:
            app.add_url_rule(self._metrics, "streamkit.metrics", _expose_metrics)


def _expose_metrics() -> flask.Response:
    body, content_type = expose(flask.request.headers.get("Accept", ""))
    return flask.Response(body, content_type=content_type)


def _set_tenant(tenant: Callable[[flask.Request], str | None]) -> None:
    # The WSGI middleware around the app sets the context back to what it was.
    context.set(replace(context.get(), tenant=tenant_name(tenant(flask.request))))
