"""Exports and the middleware that compresses everything: once, and by one of the two."""

from typing import Any

import asgi_client
import pytest
from gzipped import ROWS, assert_gzipped, assert_plain
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from werkzeug.datastructures import Headers

from streamkit_adapters.starlette import StreamingService

MIDDLEWARE = pytest.mark.parametrize(
    "middleware", [[], [Middleware(GZipMiddleware)]], ids=["bare", "gzip"]
)


def ask(middleware: list[Middleware], **headers: str) -> tuple[Headers, bytes]:
    async def view(request: Any) -> Any:
        return StreamingService.export("e", ROWS, "ndjson")

    app = Starlette(routes=[Route("/", view)], middleware=middleware)
    client = asgi_client.get(app, "/", b"", **headers)
    return client.headers, client.body


@MIDDLEWARE
def test_an_export_is_compressed_for_a_client_that_accepts_gzip(
    middleware: list[Middleware],
) -> None:
    assert_gzipped(*ask(middleware, Accept_Encoding="gzip"))


@MIDDLEWARE
def test_an_export_is_plain_for_a_client_that_accepts_no_gzip(
    middleware: list[Middleware],
) -> None:
    assert_plain(*ask(middleware))
