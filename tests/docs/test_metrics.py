"""The page on metrics: its routes answer, and it names all that there is."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from downloads.clients import ask_asgi, ask_wsgi
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit import StreamingService

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text()

ROUTES = dict(re.findall(r"^\| ([A-Z][\w, ]+) \| `(.*?)`", PAGE, re.M))


def flask(line: str) -> Any:
    from flask import Flask

    app = Flask(__name__)
    eval(line, {"app": app, "metrics": adapter("flask")})
    return app


def starlette(line: str) -> Any:
    from starlette.applications import Starlette

    app = Starlette()
    eval(line, {"app": app, "metrics": adapter("starlette")})
    return app


def fastapi(line: str) -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    eval(line, {"app": app, "metrics": adapter("fastapi")})
    return app


def wsgi(line: str) -> Any:
    names = {"metrics": adapter("wsgi")}
    exec(f"def app(environ, start_response): {line}", names)
    return names["app"]


def asgi(line: str) -> Any:
    names = {"metrics": adapter("asgi")}
    exec(f"async def app(scope, receive, send): {line}", names)
    return names["app"]


def django(line: str) -> Any:
    """In the environment that has it: elsewhere the test is skipped."""
    pytest.importorskip("django")
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import path

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"])
    urls = type(
        "urls", (), {"urlpatterns": [eval(line, {"path": path, "metrics": adapter("django")})]}
    )

    def app(environ: Any, start_response: Any) -> Any:
        with override_settings(ROOT_URLCONF=urls):
            return WSGIHandler()(environ, start_response)

    return app


def adapter(framework: str) -> Any:
    return import_module(f"streamkit_adapters.{framework}").metrics


APPS = {
    "Flask": [flask],
    "Django": [django],
    "Starlette, FastAPI": [starlette, fastapi],
    "WSGI": [wsgi],
    "ASGI": [asgi],
}


@pytest.mark.parametrize(
    ("name", "make"),
    [pytest.param(name, make, id=make.__name__) for name, makes in APPS.items() for make in makes],
)
def test_a_route_is_the_line_that_is_shown(
    name: str, make: Callable[[str], Any], registry: CollectorRegistry
) -> None:
    StreamingService.export("rows", [1], "ndjson").close()
    app = make(ROUTES[name])
    ask = ask_asgi if make in (starlette, fastapi, asgi) else ask_wsgi
    answer = ask(app, "GET", Headers(), sends_files=False, path="/metrics")
    assert b"stream_active" in answer.body


def test_each_adapter_has_a_row() -> None:
    assert ROUTES.keys() == APPS.keys()


def test_the_page_names_every_metric(registry: CollectorRegistry) -> None:
    stream = StreamingService.export("rows", [1], "ndjson")
    stream.close()
    named = {name.removesuffix("_total") for name in re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.M)}
    exposed = {family.name for family in registry.collect()}
    assert named == exposed | {"stream_max_active"}
