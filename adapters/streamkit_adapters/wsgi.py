"""Plain WSGI: a response is an application of its own (PEP 3333)."""

import _socket
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import ECONNRESET
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import HTTP_STATUS_CODES

from streamkit import (
    BaseStreamingService,
    NothingMore,
    StreamResponse,
    request_context,
    shutdown_on_signals,
)
from streamkit.admission import Admission
from streamkit.stream.chunks import MAX_STALL, Chunks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "BLOCK_BYTES",
    "ClientLeft",
    "StreamingResponse",
    "StreamingService",
    "StreamkitMiddleware",
    "open_body",
    "open_chunks",
]

BLOCK_BYTES: Final = 64 * 1024
"""What a server that does not send a file by itself is to read of it at a time."""


class StreamingResponse:
    """A WSGI application that answers one request with one stream."""

    def __init__(self, response: StreamResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Start the response; return its chunks, which the server iterates and closes.

        Raises what the source or the encoder raised before the first chunk, before
        ``start_response`` is called.
        """
        response = self._response
        request = EnvironHeaders(environ)
        code = response.negotiate(environ["REQUEST_METHOD"], request, self.status, self.headers)
        body: Any = ()
        try:
            if not response.is_bodiless:
                body = open_body(response, environ)
        except NothingMore:
            code = response.decline(self.headers)
        try:
            start_response(
                f"{code} {HTTP_STATUS_CODES.get(code, 'Unknown')}", self.headers.to_wsgi_list()
            )
        except BaseException:
            # The server has nothing yet that it could close.
            response.close()
            raise
        return body  # type: ignore[no-any-return]


def open_body(response: StreamResponse, environ: "WSGIEnvironment") -> Iterable[bytes]:
    """What the server is to send: chunks, or a file in the server's own wrapper.

    Raises what the source or the encoder raised before the first chunk.
    """
    if response.file and "wsgi.file_wrapper" in environ:
        body: Iterable[bytes] = environ["wsgi.file_wrapper"](response.server_file(), BLOCK_BYTES)
        return body
    return open_chunks(response, environ)


def open_chunks(response: StreamResponse, environ: "WSGIEnvironment") -> Chunks:
    """The chunks of ``response`` for the client of ``environ``, who may leave while they are due.

    Raises what the source or the encoder raised before the first chunk.
    """
    chunks = iter(response)
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        # Also when its window is shut, the kernel then gives a client up that takes nothing.
        with suppress(OSError):
            milliseconds = int(MAX_STALL * 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    if "waitress.client_disconnected" in environ:
        chunks.watch(environ["waitress.client_disconnected"])
    elif connection is not None and hasattr(socket, "MSG_DONTWAIT"):
        # The socket of gevent would wait, the one in it does not.
        chunks.watch(partial(_check_client, getattr(connection, "_sock", connection)))
    elif "uwsgi.version" in environ:
        # The module is there in the server only.
        chunks.watch(partial(_has_left, import_module("uwsgi").connection_fd()))
    try:
        chunks.prefetch()
    except BaseException:
        chunks.close()
        raise
    return chunks


class ClientLeft(ConnectionResetError):
    """The client closed the connection while the source was silent.

    An error, and not an end: it may have closed its own side only, and still be reading.
    """


def _check_client(connection: Any) -> bool:
    try:
        # Not the method of the object, which under TLS takes no flags.
        left = not _socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        left = True
    if left:
        raise ClientLeft(ECONNRESET, "the client closed the connection")
    return False


def _has_left(descriptor: int) -> bool:
    connection = socket.socket(fileno=descriptor)
    try:
        return _check_client(connection)
    except ClientLeft:
        # uWSGI would log the error, and end the body all the same.
        return True
    finally:
        # It is the server's, which closes it.
        connection.detach()


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning WSGI applications: ``return response(environ, start_response)``."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request.

    ``tenant`` takes the environ and returns the tenant's name, or None for ``"system"``. Of the
    streams that come through it ``max_streams`` may be open at a time in a process: more are
    answered with 503.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        tenant: "Callable[[WSGIEnvironment], str | None] | None" = None,
        max_streams: int | None = None,
    ) -> None:
        self._app = app
        self._tenant = tenant
        self._admission = None if max_streams is None else Admission(max_streams)
        shutdown_on_signals()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        tenant = self._tenant(environ) if self._tenant else None
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        headers = EnvironHeaders(environ)
        with request_context(method, headers, tenant, query, self._admission):
            return self._app(environ, start_response)
