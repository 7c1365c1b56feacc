"""The response, whose body is a stream."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import flask
from werkzeug.datastructures import Headers

from streamkit.adapting import (
    BaseStreamingService,
    Chunks,
    ClientLeft,
    Inline,
    Source,
    StreamResponse,
    wsgi_body,
    wsgi_request,
)
from streamkit_adapters.flask.contexts import keep_contexts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["StreamingResponse", "StreamingService"]

T = TypeVar("T")


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
        # Of a body that is passed through, werkzeug calls nothing that call_on_close was given.
        self.direct_passthrough = False
        self.call_on_close(self._stream.close)
        try:
            tell_handled = keep_contexts(self._stream)
            self.call_on_close(tell_handled)
            self._begin(environ, tell_handled)
        except BaseException as error:
            self.close()
            if not _is_for_handlers(error):
                raise
            return _handle(error)(environ, start_response)
        try:
            return super().__call__(environ, start_response)
        except BaseException:
            # The server was given no body that it could close.
            self.close()
            raise
        finally:
            if self.direct_passthrough:
                # The server has the file now. Nothing else refers to it, so that it is found if the
                # server drops it; this response is kept until the file is closed.
                self.response = ()

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        headers = super().get_wsgi_headers(environ)
        # werkzeug takes Last-Modified from a 304. Where there is no ETag, it is what says which
        # version the client has.
        if self.status_code == 304 and "Last-Modified" in self.headers:
            headers["Last-Modified"] = self.headers["Last-Modified"]
        return headers

    def _begin(self, environ: "WSGIEnvironment", tell_handled: Callable[[], None]) -> None:
        """Fit the response to the request, and put in the place of its body what is to be sent.

        ``tell_handled`` is called when the server begins to take chunks. Raises what the source
        raises before its first element.
        """
        stream, request, content = self._stream, wsgi_request(environ), self.response
        if content is not stream:
            # A view or a handler has put another body around the stream, or in its place.
            around = stream.begin_around(content, request, self.status_code, self.headers)
            self._set_status(around.status)
            # The body is left as it is for HEAD: werkzeug leaves it out itself, and tells its
            # length if it knows that.
            if isinstance(around.body, bytes) and request.method != "HEAD":
                self.call_on_close(getattr(content, "close", stream.close))
                self.response = iter((around.body,))
            return
        reply = stream.begin(request, self.status_code, self.headers)
        self._set_status(reply.status)
        if isinstance(reply.body, Chunks):
            self.response = _Body(reply.body, tell_handled)
        elif isinstance(reply.body, bytes):
            # werkzeug would tell the length of a list, which that of a head alone is not.
            self.response = iter((reply.body,))
        else:
            # werkzeug would put an iterator around the file, in which a server does not see that it
            # is one to send by itself.
            self.response = wsgi_body(reply.body, environ)
            self.direct_passthrough = True
            stream.call_on_close(lambda _: self.close())

    def _set_status(self, status: int) -> None:
        # A status that stays is not set again, since the application may have a phrase of its own.
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


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning Flask responses."""

    @classmethod
    def read(cls, source: Source[T]) -> Source[T]:
        if isinstance(source, Inline):
            return Inline(_without_contexts(source.iterable))
        own: Source[T] = _without_contexts(source)
        return own

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        base = flask.current_app.response_class if flask.has_app_context() else flask.Response
        if issubclass(StreamingResponse, base):
            return StreamingResponse(response)
        # Flask sets the class of any other response to that of its app, and this one would lose all
        # that it does itself.
        kind: type[StreamingResponse] = type("StreamingResponse", (StreamingResponse, base), {})
        return kind(response)


def _without_contexts(source: Any) -> Any:
    """What ``flask.stream_with_context`` was given, if it has made ``source``.

    The contexts are kept for a source anyway. It would push those of the request once more, where
    the source is read, while the request is handled: each would pop what the other has pushed.
    """
    frame = getattr(source, "gi_frame", None)
    if frame is None or frame.f_globals.get("__name__") != flask.stream_with_context.__module__:
        return source
    own = frame.f_locals.get("gen", source)
    if own is not source:
        # It has not begun with its own, and takes back here what it may have pushed here.
        source.close()
    return own
