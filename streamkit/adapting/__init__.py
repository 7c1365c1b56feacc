"""What an adapter is made of: streamkit's responses as those of a framework or a protocol.

Public and stable, for adapters of your own; the kit's import nothing else. An adapter has

- a response that holds a ``StreamResponse``, and asks it to ``begin`` (on a loop, ``abegin``) once
  there is a request to answer and its own headers are what they are to be. That negotiates, lets
  the stream in, opens it and takes its first chunk; the ``Reply`` says what to send;
- a service, which is a ``BaseStreamingService`` whose ``respond`` makes that response;
- a middleware with a ``Gate``, which sets ``streamkit.context`` and counts the open streams.

For WSGI, in full::

    class Response:
        def __init__(self, response: StreamResponse) -> None:
            self.response = response

        def __call__(self, environ, start_response):
            response = self.response
            request = wsgi_request(environ)
            with response.begin(request, response.status, response.headers) as reply:
                start_response(status_line(reply.status), response.headers.to_wsgi_list())
            return wsgi_body(reply.body, environ)


    class Service(BaseStreamingService[Response]):
        @classmethod
        def respond(cls, response: StreamResponse) -> Response:
            return Response(response)


    class Middleware:
        def __init__(self, app) -> None:
            self.app, self.gate = app, Gate()

        def __call__(self, environ, start_response):
            request = wsgi_request(environ)
            with self.gate.pass_through(request.method, request.headers, environ["QUERY_STRING"]):
                return self.app(environ, start_response)
"""

from streamkit.adapting.asgi import asgi_headers, asgi_pass_through, asgi_respond, raw_headers
from streamkit.adapting.connection import ClientLeft
from streamkit.adapting.gate import Gate
from streamkit.adapting.wsgi import status_line, wsgi_body, wsgi_request
from streamkit.http.headers import ResponseHeaders
from streamkit.metrics import expose
from streamkit.reply import Reply
from streamkit.request import Request, context, tenant_name
from streamkit.response import StreamResponse
from streamkit.rows.tables import Table
from streamkit.rows.values import plain
from streamkit.service import BaseStreamingService, Source
from streamkit.source import Inline, aclose
from streamkit.stream.chunks import AsyncChunks, Chunks
from streamkit.stream.once import LastOf, Once
from streamkit.stream.server_file import BLOCK_BYTES, ServerFile
from streamkit.stream.wake import running_loop

__all__ = [
    "BLOCK_BYTES",
    "AsyncChunks",
    "BaseStreamingService",
    "Chunks",
    "ClientLeft",
    "Gate",
    "Inline",
    "LastOf",
    "Once",
    "Reply",
    "Request",
    "ResponseHeaders",
    "ServerFile",
    "Source",
    "StreamResponse",
    "Table",
    "aclose",
    "asgi_headers",
    "asgi_pass_through",
    "asgi_respond",
    "context",
    "expose",
    "plain",
    "raw_headers",
    "running_loop",
    "status_line",
    "tenant_name",
    "wsgi_body",
    "wsgi_request",
]
