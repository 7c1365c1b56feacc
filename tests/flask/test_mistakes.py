"""What is done wrong in the first minutes says how it is done right."""

from typing import Any

import pytest
from flask import Flask

import streamkit
from streamkit_adapters.flask import StreamkitMiddleware


@pytest.fixture
def app() -> Flask:
    app = Flask("shop")
    app.testing = True
    return app


@pytest.mark.parametrize("more", [(), (201,), ({"X-A": "b"},)])
def test_a_view_that_returns_a_neutral_response_is_told_the_import(app: Flask, more: Any) -> None:
    @app.get("/")
    def view() -> Any:
        response = streamkit.StreamingService.sse("s", ["a"])
        return (response, *more) if more else response

    with pytest.raises(TypeError, match="from streamkit_adapters.flask import StreamingService"):
        app.test_client().get("/")


def test_the_middleware_takes_the_app_and_not_its_wsgi_app(app: Flask) -> None:
    message = r"app must be the Flask app itself, got \w+: call StreamkitMiddleware\(app\)"
    with pytest.raises(TypeError, match=message):
        StreamkitMiddleware(app.wsgi_app)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=message):
        StreamkitMiddleware().init_app(app.wsgi_app)  # type: ignore[arg-type]


def test_the_middleware_is_not_put_in_the_place_of_what_it_is_around(app: Flask) -> None:
    app.wsgi_app = StreamkitMiddleware(app)  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError, match=r"puts itself around app\.wsgi_app, and is no app"):
        app.test_client().get("/")


async def tenant_of(request: Any) -> str:
    return "acme"


@pytest.mark.parametrize(
    ("tenant", "message"),
    [
        ("acme", "takes the request and returns a name, or None, got 'acme'"),
        (tenant_of, "returns a name, not an async one"),
    ],
)
def test_tenant_is_a_function(app: Flask, tenant: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"tenant must be a function that {message}"):
        StreamkitMiddleware(app, tenant=tenant)


def test_no_middleware_is_told_of_once_where_the_last_event_id_is_asked_for(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamkit.log._said", set())
    seen = []

    @app.get("/")
    def view() -> str:
        seen.append(streamkit.context.get().last_event_id)
        return ""

    for _ in range(2):
        app.test_client().get("/", headers={"Last-Event-ID": "7"})
    (said,) = caplog.messages
    assert "no StreamkitMiddleware" in said
    StreamkitMiddleware(app)
    caplog.clear()
    monkeypatch.setattr("streamkit.log._said", set())
    app.test_client().get("/", headers={"Last-Event-ID": "7"})
    app.test_client().get("/")
    assert not caplog.messages
    assert seen == [None, None, "7", None]
