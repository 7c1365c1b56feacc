"""Flask: a response is a ``flask.Response``."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import flask
from flask.globals import app_ctx, request_ctx

from streamkit import BaseStreamingService, StreamResponse, context
from streamkit.context import tenant_name
from streamkit_adapters import wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware"]


class StreamingResponse(flask.Response):
    """A response whose body is a stream.

    ``request``, ``session`` and ``g`` go on working in its source and serializer, and the teardown
    functions of the request and the app run when the stream is over. A download or export whose
    source fails before its first element is answered by the app's error handlers.
    """

    def __init__(self, response: StreamResponse) -> None:
        super().__init__(
            response, status=response.status, headers=response.headers, direct_passthrough=True
        )
        self._stream = response

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        _keep_contexts(self._stream)
        # Not if somebody has put another body around it, or another in its place.
        if self.response is self._stream and environ["REQUEST_METHOD"] != "HEAD":
            try:
                self.response = wsgi.open_chunks(self._stream, environ)
            except Exception as error:
                if not flask.has_request_context():
                    raise
                return _handle(error)(environ, start_response)
        return super().__call__(environ, start_response)


def _handle(error: Exception) -> flask.Response:
    """What the current app makes of an error in a view."""
    app = flask.current_app
    try:
        return app.make_response(app.handle_user_exception(error))
    except Exception as unhandled:
        return app.handle_exception(unhandled)


def _keep_contexts(stream: StreamResponse) -> None:
    """Put the teardown of the request's and the app's context off until ``stream`` is over.

    Flask tears a context down when it is popped as often as it was pushed, and takes the pushes
    back in their order. This one is to be taken back last, where it was made: in the context of
    the stream. Hence its place in the list.
    """

    contexts: tuple[Any, ...] = (request_ctx, app_ctx)

    def keep() -> None:
        for pushed in reversed(contexts):
            pushed.push()
            pushed._cv_tokens.insert(0, pushed._cv_tokens.pop())

    def release(error: BaseException | None) -> None:
        for pushed in contexts:
            if len(pushed._cv_tokens) > 1:
                # The request is still being handled: Flask's own pop is yet to come.
                del pushed._cv_tokens[0]
            else:
                pushed.pop(error)

    if stream.context.run(flask.has_request_context):
        stream.context.run(keep)
        stream.call_on_close(release)


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning Flask responses."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request of an app.

    ``tenant`` takes the Flask request and returns the tenant's name, or None for ``"system"``. It
    is called before the request is handled, when ``session`` is there already.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        tenant: Callable[[flask.Request], str | None] | None = None,
    ) -> None:
        self._tenant = tenant
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        app.wsgi_app = wsgi.StreamkitMiddleware(app.wsgi_app)  # type: ignore[method-assign]
        if self._tenant is not None:
            app.before_request(partial(_set_tenant, self._tenant))


def _set_tenant(tenant: Callable[[flask.Request], str | None]) -> None:
    # The WSGI middleware around the app takes it back.
    context.set(replace(context.get(), tenant=tenant_name(tenant(flask.request))))
