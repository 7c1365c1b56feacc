"""An application that downloads the files it is asked for, in the adapter that the row names.

What a file is to become after ``download`` was called, and before it is sent, says ``then``.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import flask
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest
from django.urls import path
from servers import control  # noqa: F401 - it tells of this process
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamkit_adapters import asgi, wsgi
from streamkit_adapters import django as django_adapter
from streamkit_adapters import flask as flask_adapter
from streamkit_adapters import starlette as starlette_adapter

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def answer(service: Any, query: Mapping[str, str]) -> Any:
    if "file" in query:
        filename = query.get("filename", "data.bin")
        response = service.download(query["file"], filename=filename)
        if "then" in query:
            os.truncate(query["file"], int(query["then"]))
        return response

    def source(start: int, stop: int) -> Iterator[Any]:
        """A piece that is too long or too short, or that is no bytes."""
        yield b"a" * (stop - start - 10)
        yield "text" if query["last"] == "text" else b"b" * int(query["last"])

    return service.download(source, filename="data.bin", size=1000)


def plain_wsgi(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    response: wsgi.StreamingResponse = answer(wsgi.StreamingService, query)
    return response(environ, start_response)


async def plain_asgi(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] == "http":
        query = dict(parse_qsl(scope["query_string"].decode()))
        response: asgi.StreamingResponse = answer(asgi.StreamingService, query)
        await response(scope, receive, send)
    else:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


def flask_app() -> flask.Flask:
    app = flask.Flask(__name__)
    app.add_url_rule(
        "/", view_func=lambda: answer(flask_adapter.StreamingService, flask.request.args)
    )
    return app


def starlette_app() -> Starlette:
    def view(request: Request) -> Response:
        response: Response = answer(starlette_adapter.StreamingService, request.query_params)
        return response

    return Starlette(routes=[Route("/", view)])


def django_app(get_application: Callable[[], Any]) -> Any:
    def view(request: HttpRequest) -> Any:
        return answer(django_adapter.StreamingService, request.GET)

    settings.configure(
        ROOT_URLCONF=(path("", view),),
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["streamkit_adapters.django.StreamkitMiddleware"],
    )
    return get_application()


match os.environ["TEST_ADAPTER"]:
    case "flask":
        wsgi_app: Any = flask_app()
    case "starlette":
        asgi_app: Any = starlette_app()
    case "django-wsgi":
        wsgi_app = django_app(get_wsgi_application)
    case "django-asgi":
        asgi_app = django_app(get_asgi_application)
    case _:
        wsgi_app, asgi_app = plain_wsgi, plain_asgi
