"""Downloads as HTTP resources, from Starlette."""

import gzip
from pathlib import Path

import pytest
from downloads.clients import Answer, ask_asgi
from downloads.suite import Suite, View
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware, IdentityResponder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from werkzeug.datastructures import Headers

from streamkit_adapters.starlette import StreamingService

DATA = b"to be compressed " * 1000


class TestStarlette(Suite):
    sent_by_server = frozenset({"path", "str"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        def endpoint(request: Request) -> Response:
            response: Response = view(StreamingService)
            return response

        app = Starlette(routes=[Route("/", endpoint, methods=["GET", "HEAD", "POST"])])
        return ask_asgi(app, method, headers, sends_files=sends_files)


def test_gzip_middleware_compresses_the_whole_and_no_part(tmp_path: Path) -> None:
    """Older versions compress what has a Content-Range, too."""
    if not hasattr(IdentityResponder(Starlette(), 500), "partial_response"):
        pytest.skip("this Starlette compresses parts")

    path = tmp_path / "data.txt"
    path.write_bytes(DATA)

    def view(request: Request) -> Response:
        return StreamingService.download(path, filename="data.txt")

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
