"""The tests of a user, for the type checkers."""

from typing import Any, assert_type

from fastapi import FastAPI
from flask import Flask
from starlette.responses import Response
from werkzeug.datastructures import Headers

from streamkit import StreamingService
from streamkit.testing import AsyncClient, Client, Event, SSEDecoder, aconnect, connect
from streamkit_adapters import asgi, django, flask, starlette, wsgi

rows = [{"id": 1}]


def test_ticks(app: Flask) -> None:
    with connect(app, "/ticks?of=today", headers={"Last-Event-ID": "7"}) as client:
        assert_type(client, Client)
        assert_type(client.status, int)
        assert_type(client.headers, Headers)
        assert_type(client.event(), Event)
        assert_type(client.event(timeout=1.5).last_event_id, str)
        assert_type(client.comment(), str)
        client.heartbeat()
        client.shutdown()
        client.disconnect()
    client.assert_source_closed()


async def test_orders(app: FastAPI) -> None:
    async with aconnect(app, "/orders.csv") as client:
        assert_type(client, AsyncClient)
        assert_type(await client.row(), Any)
        assert_type(await client.chunk(), bytes)
        assert_type(await client.read(), bytes)
    await client.assert_source_closed()


def response() -> Response:
    return starlette.StreamingService.export("orders", rows, "csv")


connect(StreamingService.export("orders", rows, "csv"))
connect(wsgi.StreamingService.export("orders", rows, "csv"))
connect(asgi.StreamingService.export("orders", rows, "csv"))
connect(flask.StreamingService.export("orders", rows, "csv"))
connect(response())
connect(django.StreamingService.export("orders", rows, "csv"))
aconnect(StreamingService.export("orders", rows, "csv"))
aconnect(django.StreamingService.export("orders", rows, "csv"))
assert_type(SSEDecoder().feed(b"data: a\n\n"), list[Event])

connect("/ticks")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
connect(Flask("app"), headers="id")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
