"""Plain WSGI: a response is an application of its own (PEP 3333)."""

import _socket
from collections.abc import Callable, Iterable
from errno import ECONNRESET
from functools import partial
from socket import MSG_DONTWAIT, MSG_PEEK
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import HTTP_STATUS_CODES

from streamkit import BaseStreamingService, StreamResponse, request_context
from streamkit.pipeline import Chunks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware", "open_chunks"]


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
        body: Iterable[bytes] = ()
        if environ["REQUEST_METHOD"] == "HEAD":
            self._response.close()
        else:
            body = open_chunks(self._response, environ)
        status = f"{self.status} {HTTP_STATUS_CODES[self.status]}"
        start_response(status, self.headers.to_wsgi_list())
        return body


def open_chunks(response: StreamResponse, environ: "WSGIEnvironment") -> Chunks:
    """The chunks of ``response`` for the client of ``environ``, who may leave while they are due.

    Raises what the source or the encoder raised before the first chunk of a download or export.
    """
    chunks = iter(response)
    socket = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if "waitress.client_disconnected" in environ:
        chunks.watch(environ["waitress.client_disconnected"])
    elif socket is not None:
        # The socket of gevent would wait, the one in it does not.
        chunks.watch(partial(_check_client, getattr(socket, "_sock", socket)))
    if not response.live:
        chunks.prefetch()
    return chunks


def _check_client(socket: Any) -> bool:
    """Raise ConnectionResetError if the other side has closed or reset the connection.

    An error, and not an end: a client may have closed its own side only, and still be reading.
    """
    try:
        # Not the method of the object, which under TLS takes no flags.
        if not _socket.socket.recv(socket, 1, MSG_PEEK | MSG_DONTWAIT):
            raise ConnectionResetError(ECONNRESET, "the client closed the connection")
    except BlockingIOError:
        pass
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
