"""Applications of Starlette, Flask and Django, each answering ``/way/format/count``."""

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from flask import Flask, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamkit_adapters import django, flask, starlette

from .encodings import USUAL, by_hand, made, ready
from .workload import asynchronous

__all__ = ["BY_HAND", "READY", "STREAMKIT", "django_app", "flask_app", "starlette_app"]

STREAMKIT: Final = "streamkit"
BY_HAND: Final = "batches by hand"
READY: Final = "chunks made before"


def pieces(way: str, format: str, count: int) -> Any:
    """What a response of a framework's own streams."""
    if way == BY_HAND:
        return by_hand(format, count)
    if way == READY:
        return ready(format, count)
    return USUAL[format][way](count)


async def starlette_view(request: Request) -> Any:
    way, format, count = request.path_params.values()
    if way == STREAMKIT:
        rows = asynchronous(made(count))
        return starlette.StreamingService.export("rows", rows, format)
    return StreamingResponse(asynchronous(pieces(way, format, count)))


def flask_view(way: str, format: Any, count: int) -> Response:
    if way == STREAMKIT:
        return flask.StreamingService.export("rows", made(count), format)
    return Response(pieces(way, format, count))


def django_view(request: HttpRequest, way: str, format: Any, count: int) -> Any:
    if way == STREAMKIT:
        return django.StreamingService.export("rows", made(count), format)
    return StreamingHttpResponse(pieces(way, format, count))


_starlette = Starlette(routes=[Route("/{way}/{format}/{count:int}", starlette_view)])

_flask = Flask(__name__)
_flask.add_url_rule("/<way>/<format>/<int:count>", view_func=flask_view)

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost"], MIDDLEWARE=[])
urlpatterns = [path("<way>/<format>/<int:count>", django_view)]
_django = get_wsgi_application()

# A server's process finds functions of a module, and no objects.


async def starlette_app(scope: Any, receive: Any, send: Any) -> None:
    await _starlette(scope, receive, send)


def flask_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    return _flask(environ, start_response)


def django_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    return _django(environ, start_response)
