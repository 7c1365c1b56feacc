"""The pages of the frameworks: their programs run, and do what is said of them."""

from typing import Any

import pytest
from asgi_client import get
from downloads.clients import ask_asgi, ask_wsgi
from pages import run
from werkzeug.datastructures import Headers

from streamkit.testing import connect

CSV = b"id,status\r\n0,open\r\n1,open\r\n2,open\r\n"

Page = dict[str, Any]
"""What the programs of a page define."""


@pytest.fixture(scope="module")
def flask_page() -> Page:
    return run("flask.md")


@pytest.fixture(scope="module")
def fastapi_page() -> Page:
    pytest.importorskip("fastapi.sse", reason="that FastAPI takes no endpoint that yields")
    return run("starlette.md")


@pytest.fixture(scope="module")
def plain_page() -> Page:
    # Two programs, which have names in common.
    return run("plain.md", ["WSGI"]) | run("plain.md", ["ASGI"])


class TestFlask:
    def test_the_events_come(self, flask_page: Page) -> None:
        with connect(flask_page["app"], "/ticks") as client:
            assert [client.event().data for _ in range(3)][-1] == '{"tick":2}'

    def test_the_files_come(self, flask_page: Page) -> None:
        client = flask_page["app"].test_client()
        orders = client.get("/orders.csv")
        assert orders.data == CSV
        assert "exported=yes" in orders.headers["Set-Cookie"]
        assert client.get("/report").data == b"All is well."

    def test_an_error_is_handled(self, flask_page: Page) -> None:
        client = flask_page["app"].test_client()
        assert client.get("/orders/1.ndjson").data == b'{"id":1}\n'
        assert client.get("/orders/2.ndjson").status_code == 404


class TestFastAPI:
    def test_the_events_come(self, fastapi_page: Page) -> None:
        with connect(fastapi_page["app"], "/ticks") as client:
            assert [client.event().last_event_id for _ in range(3)][-1] == "2"

    def test_an_endpoint_may_yield(self, fastapi_page: Page) -> None:
        body = get(fastapi_page["app"], "/orders.ndjson", b"status=new").body
        assert body.splitlines()[-1] == b'{"id":2,"status":"new"}'
        documented = fastapi_page["app"].openapi()["paths"]["/orders.ndjson"]["get"]
        content = documented["responses"]["200"]["content"]["application/x-ndjson"]
        assert content["schema"]["items"] == {"$ref": "#/components/schemas/Order"}

    def test_head_is_answered(self, fastapi_page: Page) -> None:
        app = fastapi_page["app"]
        assert get(app, "/archive/orders.csv").body == CSV
        for path in ("/ticks", "/orders.ndjson", "/archive/orders.csv"):
            answer = ask_asgi(app, "HEAD", Headers(), sends_files=False, path=path)
            assert (answer.status, answer.body) == (200, b"")


class TestPlain:
    def test_wsgi(self, plain_page: Page) -> None:
        answer = ask_wsgi(plain_page["wsgi_app"], "GET", Headers(), sends_files=False)
        assert (answer.body, answer.headers["X-Shop"]) == (CSV, "1")
        metrics = ask_wsgi(
            plain_page["wsgi_app"], "GET", Headers(), sends_files=False, path="/metrics"
        )
        assert metrics.status == 200

    def test_asgi(self, plain_page: Page) -> None:
        assert get(plain_page["asgi_app"]).body == b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
        assert get(plain_page["asgi_app"], "/metrics").status == 200
