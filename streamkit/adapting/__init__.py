"""What an adapter is made of: streamkit's responses as those of a framework or a protocol.

Public and stable, for adapters of your own; the kit's import nothing else. docs/adapting.md shows
how to write one, and says what each of these names is for. For WSGI, but for the middleware::

    class Response:
        def __init__(self, response: StreamResponse) -> None:
            self.response = response

        def __call__(self, environ, start_response):
            response, request = self.response, wsgi_request(environ)
            with response.begin(request, response.status, response.headers) as reply:
                start_response(status_line(reply.status), response.headers.to_wsgi_list())
                return wsgi_body(reply.body, environ)


    class StreamingService(BaseStreamingService[Response]):
        @classmethod
        def respond(cls, response: StreamResponse) -> Response:
            return Response(response)

A middleware has a ``Gate``, and handles each request within its ``pass_through``, with
``environ.get("QUERY_STRING", "")`` for the query.
"""

from streamkit.adapting.asgi import asgi_headers, asgi_pass_through, asgi_respond, raw_headers
from streamkit.adapting.connection import ClientLeft
from streamkit.adapting.gate import Gate
from streamkit.adapting.scraping import Scrape, scrape
from streamkit.adapting.wsgi import status_line, wsgi_body, wsgi_request
from streamkit.arguments import check_tenant
from streamkit.errors import FellBehind
from streamkit.loop import running_loop
from streamkit.once import LastOf, Once
from streamkit.reply import Reply
from streamkit.request import Client, Request, context, tenant_name
from streamkit.response import StreamResponse
from streamkit.rows.header import Header
from streamkit.rows.plain import plain
from streamkit.rows.tables import Table
from streamkit.service import BaseStreamingService, Source
from streamkit.source import Inline, aclose
from streamkit.stream.async_chunks import AsyncChunks
from streamkit.stream.chunks import Chunks
from streamkit.stream.server_file import BLOCK_BYTES, ServerFile

__all__ = [
    "BLOCK_BYTES",
    "AsyncChunks",
    "BaseStreamingService",
    "Chunks",
    "Client",
    "ClientLeft",
    "FellBehind",
    "Gate",
    "Header",
    "Inline",
    "LastOf",
    "Once",
    "Reply",
    "Request",
    "Scrape",
    "ServerFile",
    "Source",
    "StreamResponse",
    "Table",
    "aclose",
    "asgi_headers",
    "asgi_pass_through",
    "asgi_respond",
    "check_tenant",
    "context",
    "plain",
    "raw_headers",
    "running_loop",
    "scrape",
    "status_line",
    "tenant_name",
    "wsgi_body",
    "wsgi_request",
]
