"""Starlette's endpoint for Prometheus, and FastAPI's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from scraping.suite import Suite
from starlette.applications import Starlette

from streamkit_adapters import fastapi as fastapi_adapter
from streamkit_adapters import starlette as starlette_adapter


class TestStarlette(Suite):
    is_async = True

    @contextmanager
    def serve(self) -> Iterator[Any]:
        app = Starlette()
        app.add_route("/", starlette_adapter.metrics)
        yield app


class TestFastAPI(Suite):
    is_async = True

    @contextmanager
    def serve(self) -> Iterator[Any]:
        app = FastAPI()
        app.add_route("/", fastapi_adapter.metrics)
        assert app.openapi()["paths"] == {}
        yield app
