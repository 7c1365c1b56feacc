"""The middleware: the context of a request, and the limit of streams."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import flask

from streamkit.adapting import check_tenant, context, tenant_name
from streamkit_adapters import wsgi

__all__ = ["StreamkitMiddleware"]


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request of an app.

    ``tenant`` takes the Flask request and returns the tenant's name, or None for ``"system"``. It
    is called before the request is handled, when ``session`` is there already. ``max_streams`` may
    be open at a time in a process: more are told to come back. Without ``app``, ``init_app``
    follows.

    Raises TypeError for any other ``app``, such as ``app.wsgi_app``, around which it puts itself,
    and a ``tenant`` that is no function.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        tenant: Callable[[flask.Request], str | None] | None = None,
        max_streams: int | None = None,
    ) -> None:
        check_tenant(tenant)
        self._tenant = tenant
        self._max_streams = max_streams
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


def _set_tenant(tenant: Callable[[flask.Request], str | None]) -> None:
    # The WSGI middleware around the app sets the context back to what it was.
    context.set(replace(context.get(), tenant=tenant_name(tenant(flask.request))))
