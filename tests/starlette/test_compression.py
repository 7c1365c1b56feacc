"""Exports and the middleware that compresses everything: once, and by one of the two."""

import zlib
from typing import Any

import asgi_client
import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from werkzeug.datastructures import Headers

import streamkit_adapters.flask
import streamkit_adapters.starlette

ROWS = [{"n": n, "text": f"row {n}"} for n in range(1000)]
PLAIN = b"".join(f'{{"n":{n},"text":"row {n}"}}\n'.encode() for n in range(1000))


def ask_flask(**headers: str) -> tuple[Headers, bytes]:
    app = Flask(__name__)
    service = streamkit_adapters.flask.StreamingService
    app.add_url_rule("/", "view", lambda: service.export("e", ROWS, "ndjson"))
    response = app.test_client().get("/", headers=headers)
    return response.headers, response.data


def ask_starlette(*middleware: Any, **headers: str) -> tuple[Headers, bytes]:
    async def view(request: Any) -> Any:
        return streamkit_adapters.starlette.StreamingService.export("e", ROWS, "ndjson")

    app = Starlette(routes=[Route("/", view)])
    for added in middleware:
        app.add_middleware(added)
    client = asgi_client.get(app, "/", b"", **headers)
    return client.headers, client.body


def ask_starlette_behind_gzip(**headers: str) -> tuple[Headers, bytes]:
    return ask_starlette(GZipMiddleware, **headers)


ASK = pytest.mark.parametrize("ask", [ask_flask, ask_starlette, ask_starlette_behind_gzip])


@ASK
def test_a_client_that_accepts_gzip(ask: Any) -> None:
    headers, body = ask(Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding"
    assert "Content-Length" not in headers
    assert zlib.decompress(body, wbits=31) == PLAIN


@ASK
def test_a_client_that_does_not(ask: Any) -> None:
    headers, body = ask()
    assert "Content-Encoding" not in headers
    # Starlette's own adds it again.
    assert set(headers["Vary"].split(", ")) == {"Accept-Encoding"}
    assert body == PLAIN
