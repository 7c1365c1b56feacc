"""The adapters of the page on adapting."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from asgi_client import get
from combinations import WAIT
from werkzeug.datastructures import Headers
from werkzeug.test import Client

from streamkit import StreamingService, adapting
from streamkit.testing import connect

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "adapting.md").read_text()


def run(example: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(example, "docs/adapting.md", "exec"), names)
    return names


WSGI, ASGI, NEITHER, AROUND = map(run, re.findall(r"```python\n(.*?)```", PAGE, re.S))

CSV = b"id\r\n0\r\n1\r\n2\r\n"


def test_the_adapter_for_wsgi_streams() -> None:
    response = Client(WSGI["app"]).get("/")
    assert response.status == "200 OK"
    assert response.content_type == "text/csv; charset=utf-8"
    assert response.data == CSV


def test_the_adapter_for_asgi_streams() -> None:
    assert get(ASGI["app"], "/shop/orders").body == CSV


@pytest.mark.parametrize("names", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_the_middleware_sets_the_context(names: dict[str, Any]) -> None:
    def who() -> Any:
        yield adapting.context.get().tenant

    def wsgi(environ: Any, start_response: Any) -> Any:
        return names["StreamingService"].sse("who", who())(environ, start_response)

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await names["StreamingService"].sse("who", who())(scope, receive, send)

    app = names["Middleware"](wsgi if names is WSGI else asgi, tenant=lambda native: "shop")
    with connect(app) as client:
        assert client.event().data == "shop"


@pytest.mark.parametrize("names", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_the_middleware_limits_the_streams(names: dict[str, Any]) -> None:
    def live() -> Any:
        yield 1
        yield 2

    def wsgi(environ: Any, start_response: Any) -> Any:
        return names["StreamingService"].sse("live", live())(environ, start_response)

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await names["StreamingService"].sse("live", live())(scope, receive, send)

    app = names["Middleware"](wsgi if names is WSGI else asgi, max_streams=1)
    with connect(app) as client:
        assert client.status == 200
        with connect(app) as other:
            assert other.status == 503
            assert "Retry-After" in other.headers


@pytest.mark.parametrize("names", [WSGI, AROUND], ids=["wsgi", "around"])
def test_a_response_to_head_has_no_body(names: dict[str, Any]) -> None:
    response = Client(names["app"]).head("/")
    assert response.status == "200 OK"
    assert response.data == b""


def test_what_is_around_the_body_is_sent() -> None:
    assert Client(AROUND["app"]).get("/").data == b'{"NAME":"ADA"}\n'


def test_what_nothing_was_put_around_is_sent_as_it_is() -> None:
    response = AROUND["StreamingService"].export("names", [{"name": "ada"}], "ndjson")
    assert Client(response).get("/").data == b'{"name":"ada"}\n'


@pytest.mark.parametrize("chunks", [0, 1])
def test_what_is_around_the_body_closes_the_source_with_it(chunks: int) -> None:
    closed: list[bool] = []
    is_over = Event()

    class Events:
        def __iter__(self) -> Iterator[str]:
            yield from "ab"

        def close(self) -> None:
            closed.append(True)

    response = AROUND["upper"](AROUND["StreamingService"].sse("events", Events()))
    response._response.call_on_close(lambda _: is_over.set())
    body = response({"REQUEST_METHOD": "GET"}, lambda status, headers: None)
    for _ in range(chunks):
        next(iter(body))
    body.close()
    assert is_over.wait(WAIT)
    assert closed == [True]


class Connection:
    """What the third example writes to."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()

    async def write_head(self, status: int, headers: Headers) -> None:
        self.written.append((status, headers["Content-Type"]))

    async def write(self, chunk: bytes) -> None:
        self.written.append(chunk)


@pytest.mark.parametrize(("method", "body"), [("GET", b"[\n1\n]\n"), ("HEAD", b"")])
def test_a_server_of_neither_protocol_is_answered(method: str, body: bytes) -> None:
    connection = Connection()
    response = StreamingService.export("numbers", [1], "json", serialize=str)
    asyncio.run(NEITHER["answer"](response, method, Headers(), connection))
    assert connection.written[0] == (200, "application/json")
    assert b"".join(connection.written[1:]) == body


@pytest.mark.parametrize("name", adapting.__all__)
def test_the_page_says_what_each_name_is_for(name: str) -> None:
    table = PAGE.partition("## All there is")[2]
    assert re.search(rf"^\|[^|]*`{name}`[^|]*\|", table, re.M)
