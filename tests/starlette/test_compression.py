"""Exports and the middleware that compresses everything: once, and by one of the two."""

import inspect
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

COMPRESSED_TYPES = [
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
]
"""As in docs/exports.md."""

MIDDLEWARE = pytest.mark.parametrize(
    "middleware", [[], [Middleware(GZipMiddleware)]], ids=["bare", "gzip"]
)


def ask(
    middleware: list[Middleware], format: Any = "ndjson", **headers: str
) -> tuple[Headers, bytes]:
    async def view(request: Any) -> Any:
        return StreamingService.export("e", ROWS, format)

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


@pytest.mark.skipif(
    "exclude_content_types" not in inspect.signature(GZipMiddleware).parameters,
    reason="this version of Starlette compresses all types but events",
)
@pytest.mark.parametrize("format", ["xlsx", "parquet", "arrow"])
def test_a_format_that_is_compressed_by_itself_can_be_left_out(format: str) -> None:
    if format != "xlsx":
        pytest.importorskip("pyarrow")
    excluded = tuple(COMPRESSED_TYPES)
    middleware = [Middleware(GZipMiddleware, exclude_content_types=excluded)]
    headers, body = ask(middleware, format, Accept_Encoding="gzip")
    assert "Content-Encoding" not in headers
    assert body.startswith((b"PK", b"PAR1", b"\xff\xff\xff\xff"))
