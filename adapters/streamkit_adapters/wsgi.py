"""Plain WSGI: a response is an application of its own (PEP 3333)."""

import _socket
import socket
from collections.abc import Callable, Iterable
from errno import ECONNRESET
from functools import partial
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import HTTP_STATUS_CODES

from streamkit import BaseStreamingService, StreamResponse, request_context
from streamkit.pipeline import Chunks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "ClientLeft",
    "StreamingResponse",
    "StreamingService",
    "StreamkitMiddleware",
    "open_chunks",
]


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

        Raises what the source or the encoder raised before the first chunk of a download or export,
        before ``start_response`` is called.
        """
        status = f"{self.status} {HTTP_STATUS_CODES.get(self.status, 'Unknown')}"
        if environ["REQUEST_METHOD"] == "HEAD":
            self._response.close()
            start_response(status, self.headers.to_wsgi_list())
            return ()
        chunks = open_chunks(self._response, environ)
        try:
            start_response(status, self.headers.to_wsgi_list())
        except BaseException:
            # The server has nothing yet that it could close.
            chunks.close()
            raise
        return chunks


def open_chunks(response: StreamResponse, environ: "WSGIEnvironment") -> Chunks:
    """The chunks of ``response`` for the client of ``environ``, who may leave while they are due.

    Raises what the source or the encoder raised before the first chunk of a download or export.
    """
    chunks = iter(response)
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if "waitress.client_disconnected" in environ:
        chunks.watch(environ["waitress.client_disconnected"])
    elif connection is not None and hasattr(socket, "MSG_DONTWAIT"):
        # The socket of gevent would wait, the one in it does not.
        chunks.watch(partial(_check_client, getattr(connection, "_sock", connection)))
    if not response.live:
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


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning WSGI applications: ``return response(environ, start_response)``."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request.

    ``tenant`` takes the environ and returns the tenant's name, or None for ``"system"``.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        tenant: "Callable[[WSGIEnvironment], str | None] | None" = None,
    ) -> None:
        self._app = app
        self._tenant = tenant

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        tenant = self._tenant(environ) if self._tenant else None
        with request_context(environ["REQUEST_METHOD"], EnvironHeaders(environ), tenant):
            return self._app(environ, start_response)
