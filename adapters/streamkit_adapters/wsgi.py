"""Plain WSGI: a response is an application of its own (PEP 3333)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import HTTP_STATUS_CODES

from streamkit import BaseStreamingService, StreamResponse, request_context

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware"]


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
            body = chunks = iter(self._response)
            if not self._response.live:
                chunks.prefetch()
        status = f"{self.status} {HTTP_STATUS_CODES[self.status]}"
        start_response(status, self.headers.to_wsgi_list())
        return body


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
