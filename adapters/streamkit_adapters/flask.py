"""Flask: a response is a ``flask.Response``."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

try:
    import flask
    from flask.globals import app_ctx, request_ctx
except ImportError as error:
    raise ImportError(f"{__name__} needs Flask: pip install 'streamkit-http[flask]'") from error

from werkzeug.datastructures import Headers

from streamkit import metrics
from streamkit.adapting import (
    BaseStreamingService,
    Chunks,
    ClientLeft,
    LastOf,
    Once,
    ServerFile,
    StreamResponse,
    context,
    tenant_name,
    wsgi_body,
    wsgi_request,
)
from streamkit_adapters import wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware"]


class StreamingResponse(flask.Response):
    """A response whose body is a stream.

    ``request``, ``session`` and ``g`` go on working in its source and serializer, and the teardown
    functions of the request and the app run when the stream is over (of a file or bytes, which
    need neither, when the request was handled). A source that fails before its first element is
    answered by the app's error handlers.
    """

    def __init__(self, response: StreamResponse) -> None:
        super().__init__(
            response, status=response.status, headers=response.headers, direct_passthrough=True
        )
        self._stream = response

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # A body that is passed through is returned as it is, without what call_on_close was given.
        self.direct_passthrough = False
        self.call_on_close(self._stream.close)
        is_handled = _keep_contexts(self._stream)
        self.call_on_close(is_handled)
        try:
            self._begin(environ, is_handled)
        except BaseException as error:
            self.close()
            if not _is_for_handlers(error):
                raise
            return _handle(error)(environ, start_response)
        try:
            return super().__call__(environ, start_response)
        except BaseException:
            # The server has nothing yet that it could close.
            self.close()
            raise
        finally:
            if self.direct_passthrough:
                # A file goes with the server, or is lost with it: this is kept until it is closed.
                self.response = ()

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        headers = super().get_wsgi_headers(environ)
        # werkzeug takes it from a 304. Where there is no ETag, it says which version is meant.
        if self.status_code == 304 and "Last-Modified" in self.headers:
            headers["Last-Modified"] = self.headers["Last-Modified"]
        return headers

    def _begin(self, environ: "WSGIEnvironment", is_handled: Callable[[], None]) -> None:
        """Fit it to the request, and put in the place of its body what is to be sent.

        Raises what the source raises before its first element.
        """
        stream, request, content = self._stream, wsgi_request(environ), self.response
        if content is not stream:
            # Somebody has put another body around it, or another in its place.
            around = stream.begin_around(content, request, self.status_code, self.headers)
            self._set_status(around.status)
            # Of what it leaves out for HEAD, werkzeug tells the length if it knows it.
            if around.body is None and request.method != "HEAD":
                self.call_on_close(getattr(content, "close", stream.close))
                self.response = iter(())
            return
        reply = stream.begin(request, self.status_code, self.headers)
        self._set_status(reply.status)
        if isinstance(reply.body, ServerFile):
            # Only as it is does a server see in it a file to send by itself.
            self.response = wsgi_body(reply.body, environ)
            self.direct_passthrough = True
            stream.call_on_close(lambda _: self.close())
        else:
            self.response = iter(()) if reply.body is None else _Body(reply.body, is_handled)

    def _set_status(self, status: int) -> None:
        # Not as it was: the phrase may be of the application's own.
        if status != self.status_code:
            self.status_code = status


def _is_for_handlers(error: BaseException) -> TypeGuard[Exception]:
    """Whether the app's error handlers are to answer it: there is a client, and an app."""
    is_departure = isinstance(error, ClientLeft)
    return isinstance(error, Exception) and not is_departure and flask.has_request_context()


def _handle(error: Exception) -> flask.Response:
    """What the current app makes of an error in a view."""
    app = flask.current_app
    try:
        return app.finalize_request(app.handle_user_exception(error))
    except Exception as unhandled:
        return app.handle_exception(unhandled)


class _Body:
    """Chunks that say when the server begins to take them: after the request was handled."""

    def __init__(self, chunks: Chunks, begin: Callable[[], object]) -> None:
        self._chunks = chunks
        self._begin = begin

    def __iter__(self) -> Iterator[bytes]:
        self._begin()
        return self._chunks

    def close(self) -> None:
        self._chunks.close()


def _keep_contexts(stream: StreamResponse) -> Callable[[], None]:
    """Put the teardown of the request's and the app's context off until ``stream`` is over.

    Flask tears a context down when it is popped as often as it was pushed, and takes the pushes
    back in their order. The one here comes before that of the request, and is never taken back:
    what Flask would do then is done when the stream is over and the request was handled. The
    latter is to be told by a call of what is returned.
    """
    contexts: tuple[Any, ...] = (app_ctx, request_ctx)
    failure: list[BaseException] = []
    is_last = LastOf(2)
    is_first = Once()

    def keep() -> None:
        for pushed in contexts:
            pushed.push()
            pushed._cv_tokens.insert(0, pushed._cv_tokens.pop())

    def leave(error: BaseException | None = None) -> None:
        if error is not None:
            failure.append(error)
        if is_last():
            # The stream's own context may still be entered by whoever has just left.
            stream.context.copy().run(tear_down)

    def tear_down() -> None:
        is_popped = len(request_ctx._cv_tokens) == 1
        for pushed in contexts:
            del pushed._cv_tokens[0]
        if is_popped:
            error = failure[0] if failure else None
            with ExitStack() as stack:
                stack.callback(app_ctx.app.do_teardown_appcontext, error)
                stack.callback(request_ctx.request.close)
                stack.callback(app_ctx.app.do_teardown_request, error)

    def is_handled() -> None:
        if is_first():
            leave()

    if stream.never_waits or not stream.context.run(flask.has_request_context):
        return lambda: None
    stream.context.run(keep)
    stream.call_on_close(leave)
    return is_handled


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning Flask responses."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        base = flask.current_app.response_class if flask.has_app_context() else flask.Response
        if issubclass(StreamingResponse, base):
            return StreamingResponse(response)
        # Flask makes any other response one of its app's class, and then it would be no more.
        kind: type[StreamingResponse] = type("StreamingResponse", (StreamingResponse, base), {})
        return kind(response)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request of an app.

    ``tenant`` takes the Flask request and returns the tenant's name, or None for ``"system"``. It
    is called before the request is handled, when ``session`` is there already. ``max_streams`` may
    be open at a time in a process: more are answered with 503. ``metrics`` is the path of a route,
    ``"/metrics"`` say, where Prometheus finds the metrics.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        tenant: Callable[[flask.Request], str | None] | None = None,
        max_streams: int | None = None,
        metrics: str | None = None,
    ) -> None:
        self._tenant = tenant
        self._max_streams = max_streams
        self._metrics = metrics
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        app.wsgi_app = wsgi.StreamkitMiddleware(  # type: ignore[method-assign]
            app.wsgi_app, max_streams=self._max_streams
        )
        if self._tenant is not None:
            app.before_request(partial(_set_tenant, self._tenant))
        if self._metrics is not None:
            app.add_url_rule(self._metrics, "streamkit.metrics", _expose_metrics)


def _expose_metrics() -> flask.Response:
    body, content_type = metrics.expose(flask.request.headers.get("Accept", ""))
    return flask.Response(body, content_type=content_type)


def _set_tenant(tenant: Callable[[flask.Request], str | None]) -> None:
    # The WSGI middleware around the app takes it back.
    context.set(replace(context.get(), tenant=tenant_name(tenant(flask.request))))
