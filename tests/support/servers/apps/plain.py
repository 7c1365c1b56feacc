from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from servers.noting import noting_asgi, noting_wsgi
from servers.streams import answer

from streamkit_adapters import asgi, wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def _wsgi(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    response = answer(wsgi.StreamingService, environ["PATH_INFO"], query)
    return response(environ, start_response)


async def _asgi(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    assert scope["type"] == "http"
    query = dict(parse_qsl(scope["query_string"].decode()))
    response = answer(asgi.StreamingService, scope["path"], query)
    await response(scope, receive, send)


wsgi_app = noting_wsgi(wsgi.StreamkitMiddleware(_wsgi))
asgi_app = noting_asgi(asgi.StreamkitMiddleware(_asgi))
