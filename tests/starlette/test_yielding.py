"""Endpoints of FastAPI that yield, as its users write them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from asgi_client import Client, get, run, scope
from downloads.clients import ask_asgi
from fastapi import Depends, FastAPI, HTTPException
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from werkzeug.datastructures import Headers

from streamkit import ServerSentEvent
from streamkit_adapters.fastapi import (
    CSVExport,
    EventStream,
    JSONExport,
    NDJSONExport,
    StreamkitMiddleware,
)

pytestmark = pytest.mark.skipif(
    find_spec("fastapi.sse") is None, reason="that FastAPI takes no endpoint so"
)


class Order(BaseModel):
    id: int
    status: str = "open"


def orders(status: str = "new") -> Iterator[Any]:
    for number in range(2):
        yield Order(id=number, status=status)


async def async_orders(status: str = "new") -> AsyncIterator[Any]:
    for order in orders(status):
        yield order


BODIES = {
    EventStream: b'data: {"id":0,"status":"new"}\n\ndata: {"id":1,"status":"new"}\n\n',
    NDJSONExport: b'{"id":0,"status":"new"}\n{"id":1,"status":"new"}\n',
    JSONExport: b'[\n{"id":0,"status":"new"},\n{"id":1,"status":"new"}\n]\n',
    CSVExport: b"id,status\r\n0,new\r\n1,new\r\n",
}

ENDPOINTS = pytest.mark.parametrize("endpoint", [orders, async_orders])
CLASSES = pytest.mark.parametrize("response_class", BODIES)


@ENDPOINTS
@CLASSES
def test_what_an_endpoint_yields_is_streamed(
    response_class: Any, endpoint: Any, registry: CollectorRegistry
) -> None:
    app = FastAPI()
    app.get("/", response_class=response_class, status_code=202)(endpoint)
    client = get(app, query=b"status=new")
    assert client.status == 202
    assert client.body == BODIES[response_class]
    assert client.headers["Content-Type"].startswith(response_class.media_type)
    kind = "sse" if response_class is EventStream else "export"
    # Named after the endpoint.
    labels = {"kind": kind, "stream": endpoint.__name__, "tenant": "system"}
    assert registry.get_sample_value("stream_elements_total", labels) == 2


@ENDPOINTS
@CLASSES
def test_head_is_answered_where_there_is_a_route_for_it(response_class: Any, endpoint: Any) -> None:
    app = FastAPI()
    app.get("/", response_class=response_class)(endpoint)
    app.head("/", response_class=response_class, include_in_schema=False)(endpoint)
    answer = ask_asgi(app, "HEAD", Headers(), sends_files=False)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"].startswith(response_class.media_type)
    assert list(app.openapi()["paths"]["/"]) == ["get"]


@CLASSES
def test_the_openapi_document_has_the_schema_of_the_items(response_class: Any) -> None:
    app = FastAPI()
    app.get("/", response_class=response_class, responses={200: {"model": Order}})(async_orders)
    document = app.openapi()
    content = document["paths"]["/"]["get"]["responses"]["200"]["content"]
    assert list(content) == [response_class.media_type]
    schema = content[response_class.media_type]["schema"]
    assert schema["$ref"] == "#/components/schemas/Order"
    assert "Order" in document["components"]["schemas"]


def test_an_event_is_sent_as_it_is_and_the_client_goes_on_from_it() -> None:
    app = FastAPI()
    app.add_middleware(StreamkitMiddleware)

    @app.get("/", response_class=EventStream)
    async def ticks() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent({"tick": 1}, id=1)

    assert get(app).body == b'id: 1\ndata: {"tick":1}\n\n'


def test_an_error_before_the_first_element_is_answered_as_in_any_endpoint() -> None:
    app = FastAPI()

    @app.get("/{number}", response_class=NDJSONExport)
    async def rows(number: int) -> AsyncIterator[Any]:
        if number > 1:
            raise HTTPException(404, "no such order")
        yield Order(id=number)

    assert get(app, "/1").status == 200
    assert get(app, "/2").status == 404
    assert get(app, "/x").status == 422


def test_the_endpoint_is_closed_when_its_client_leaves_before_its_dependencies() -> None:
    log: list[str] = []

    async def session() -> AsyncIterator[str]:
        yield "session"
        log.append("session closed")

    app = FastAPI()

    @app.get("/", response_class=EventStream)
    async def events(session: str = Depends(session)) -> AsyncIterator[str]:
        task = asyncio.current_task()
        try:
            yield session
            await asyncio.Event().wait()
        finally:
            # Not by whatever collects generators that nobody has closed.
            assert asyncio.current_task() is task
            log.append("endpoint closed")

    async def main() -> None:
        client = Client()
        answer = asyncio.create_task(app(scope(), client.receive, client.send))
        await client.until_body_has(b"data: session\n\n")
        client.gone.set()
        await answer

    run(main)
    assert log == ["endpoint closed", "session closed"]
