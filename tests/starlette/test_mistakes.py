"""What is done wrong in the first minutes says how it is done right."""

import re
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from asgi_client import get
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

import streamkit
from streamkit_adapters import fastapi, starlette
from streamkit_adapters.fastapi import (
    Download,
    EventStream,
    StreamingService,
    StreamkitMiddleware,
)

IMPORT = "from streamkit_adapters.fastapi import StreamingService"


def neutral() -> Any:
    return streamkit.StreamingService.sse("s", ["a"])


async def async_neutral() -> Any:
    return neutral()


# FastAPI makes a model of what an endpoint is annotated with.
del neutral.__annotations__["return"], async_neutral.__annotations__["return"]


@pytest.mark.parametrize("response_class", [None, EventStream])
@pytest.mark.parametrize("endpoint", [neutral, async_neutral])
def test_an_endpoint_of_fastapi_that_returns_a_neutral_response_is_told_the_import(
    endpoint: Any, response_class: Any
) -> None:
    app = FastAPI()
    arguments = {} if response_class is None else {"response_class": response_class}
    app.get("/", **arguments)(endpoint)
    with pytest.raises(ValueError, match=IMPORT):
        get(app)


def test_an_endpoint_of_fastapi_that_is_annotated_so_is_told_the_import_at_once() -> None:
    def endpoint() -> streamkit.StreamResponse:
        # It is refused where it is declared, and never called.
        raise NotImplementedError

    with pytest.raises(TypeError, match=f"no endpoint returns a StreamResponse: .*{IMPORT}"):
        FastAPI().get("/")(endpoint)


def test_an_endpoint_of_starlette_that_returns_a_neutral_response_is_told_the_import() -> None:
    async def view(request: Request) -> Any:
        return neutral()

    with pytest.raises(TypeError, match=IMPORT):
        get(Starlette(routes=[Route("/", view)]))


needs_yield = pytest.mark.skipif(
    find_spec("fastapi.sse") is None, reason="that FastAPI takes no endpoint so"
)


async def ticks() -> AsyncIterator[str]:
    yield "a"


def sync_ticks() -> Iterator[str]:
    yield "a"


@needs_yield
@pytest.mark.parametrize("endpoint", [ticks, sync_ticks])
def test_an_endpoint_that_yields_a_download_is_told_to_return(endpoint: Any) -> None:
    app = FastAPI()
    app.get("/", response_class=Download)(endpoint)
    message = (
        "Download is made by StreamingService: return what its sse, download or export "
        "returns, and have no yield in the endpoint itself, as a download has a filename: move "
        "that to a generator, say pieces(), and return "
        "StreamingService.download(pieces(), filename=...)"
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        get(app)


@needs_yield
def test_an_endpoint_that_yields_events_is_told_the_response_class() -> None:
    app = FastAPI()

    @app.get("/")
    async def events():  # type: ignore[no-untyped-def]
        yield streamkit.ServerSentEvent({"tick": 1})

    with pytest.raises(ValueError, match="yields events has response_class=EventStream"):
        get(app)


@needs_yield
def test_an_endpoint_that_is_annotated_so_is_told_it_at_once() -> None:
    async def events() -> AsyncIterator[streamkit.ServerSentEvent]:
        yield streamkit.ServerSentEvent({"tick": 1})

    with pytest.raises(TypeError, match="yields events has response_class=EventStream"):
        FastAPI().get("/")(events)


@pytest.mark.parametrize("returned", [["a"], {"a": 1}, None])
def test_an_endpoint_that_returns_no_stream_is_told_what_makes_one(returned: Any) -> None:
    app = FastAPI()

    @app.get("/", response_class=EventStream)
    async def endpoint():  # type: ignore[no-untyped-def]
        return returned

    with pytest.raises(TypeError, match=f"made by StreamingService.*not {type(returned).__name__}"):
        get(app)


def test_tenant_is_a_function() -> None:
    with pytest.raises(TypeError, match="tenant must be a function .*, got 'acme'"):
        StreamkitMiddleware(FastAPI(), tenant="acme")  # type: ignore[arg-type]


def test_the_module_for_fastapi_has_all_that_is_for_starlette() -> None:
    assert sorted({*starlette.__all__, "StreamRoute"}) == fastapi.__all__
    assert all(getattr(fastapi, name) is getattr(starlette, name) for name in starlette.__all__)
    assert fastapi.StreamingService is StreamingService
