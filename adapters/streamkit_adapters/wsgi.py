"""Plain WSGI: a response is an application of its own (PEP 3333)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from streamkit.adapting import (
    BaseStreamingService,
    Gate,
    StreamResponse,
    scrape,
    status_line,
    wsgi_body,
    wsgi_request,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware", "metrics"]


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
        with self._response.begin(wsgi_request(environ), self.status, self.headers) as reply:
            start_response(status_line(reply.status), self.headers.to_wsgi_list())
            return wsgi_body(reply.body, environ)


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning WSGI applications: ``return response(environ, start_response)``."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request.

    ``tenant`` takes the environ and returns the tenant's name, or None for ``"system"``. Of the
    streams that come through it ``max_streams`` may be open at a time in a process: more are
    told to come back.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        tenant: "Callable[[WSGIEnvironment], str | None] | None" = None,
        max_streams: int | None = None,
    ) -> None:
        self._app = app
        self._gate = Gate(tenant, max_streams)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        request, query = wsgi_request(environ), environ.get("QUERY_STRING", "")
        tenant = self._gate.tenant_of(environ)
        with self._gate.pass_through(request.method, request.headers, query, tenant):
            return self._app(environ, start_response)


def metrics(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """A WSGI application that answers Prometheus, at whatever path it is put."""
    request = wsgi_request(environ)
    answer = scrape(request.method, request.headers)
    start_response(status_line(answer.status), answer.headers.to_wsgi_list())
    return wsgi_body(answer.body, environ)
