"""Downloads as HTTP resources, from Flask and Starlette."""

import gzip
from pathlib import Path

import flask
import pytest
from downloads.clients import Answer, ask_asgi, ask_wsgi
from downloads.suite import Suite, View
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware, IdentityResponder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from werkzeug.datastructures import Headers

from streamkit_adapters.flask import StreamingService as FlaskService
from streamkit_adapters.starlette import StreamingService as StarletteService

METHODS = ["GET", "HEAD", "POST"]


class TestFlask(Suite):
    sent_by_server = frozenset({"path", "str", "open file", "raw file", "begun file"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        app = flask.Flask(__name__)
        app.add_url_rule("/", view_func=lambda: view(FlaskService), methods=METHODS)
        return ask_wsgi(app, method, headers, sends_files=sends_files)


class TestStarlette(Suite):
    sent_by_server = frozenset({"path", "str"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        def endpoint(request: Request) -> Response:
            response: Response = view(StarletteService)
            return response

        app = Starlette(routes=[Route("/", endpoint, methods=METHODS)])
        return ask_asgi(app, method, headers, sends_files=sends_files)


DATA = b"to be compressed " * 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("sends_files", [False, True])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}], ids=str)
def test_flask_tears_down_once(path: Path, headers: dict[str, str], sends_files: bool) -> None:
    app = flask.Flask(__name__)
    log: list[str] = []

    def view() -> flask.Response:
        response: flask.Response = FlaskService.download(path, filename="data.txt")
        response.call_on_close(lambda: log.append("closed"))
        return response

    app.add_url_rule("/", view_func=view)
    app.teardown_request(lambda error: log.append("request"))
    app.teardown_appcontext(lambda error: log.append("app"))
    ask_wsgi(app, "GET", Headers(headers), sends_files=sends_files)
    assert sorted(log) == ["app", "closed", "request"]


def test_starlette_compresses_the_whole_and_no_part(path: Path) -> None:
    """Older versions compress what has a Content-Range, too."""
    if not hasattr(IdentityResponder(Starlette(), 500), "partial_response"):
        pytest.skip("this Starlette compresses parts")

    def view(request: Request) -> Response:
        return StarletteService.download(path, filename="data.txt")

    app = Starlette(routes=[Route("/", view)], middleware=[Middleware(GZipMiddleware)])

    def ask(**headers: str) -> Answer:
        request = Headers({"Accept-Encoding": "gzip", **headers})
        return ask_asgi(app, "GET", request, sends_files=False)

    whole = ask()
    assert whole.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(whole.body) == DATA
    for value, body in (("bytes=10-2009", DATA[10:2010]), ("bytes=0-", DATA)):
        part = ask(Range=value)
        assert (part.status, part.body) == (206, body)
        assert "Content-Encoding" not in part.headers
