"""The test kit on the frameworks' own responses and apps, and the examples of its page."""

import asyncio
import inspect
import re
import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import flask
import pytest
from combinations import AsyncSource, SyncSource
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from streamkit.testing import Event, aconnect, connect
from streamkit_adapters import flask as flask_adapter
from streamkit_adapters import starlette as starlette_adapter

SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])


def flask_app(source: Any) -> flask.Flask:
    app = flask.Flask("shop")
    app.get("/ticks")(lambda: flask_adapter.StreamingService.sse("s", source))
    return app


def starlette_app(source: Any) -> Starlette:
    async def pass_on(request: Any, call_next: Callable[[Any], Any]) -> Any:
        return await call_next(request)

    return Starlette(
        routes=[
            Route("/ticks", lambda request: starlette_adapter.StreamingService.sse("s", source))
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
    )


TARGETS = pytest.mark.parametrize(
    "target",
    [
        flask_app,
        starlette_app,
        lambda source: flask_adapter.StreamingService.sse("s", source),
        lambda source: starlette_adapter.StreamingService.sse("s", source),
    ],
    ids=["flask-app", "starlette-app", "flask-response", "starlette-response"],
)


@TARGETS
@SOURCES
def test_a_sync_test(target: Any, source_class: Any) -> None:
    source = source_class(repeat("tick"))
    with connect(target(source), "/ticks") as client:
        assert client.status == 200
        assert client.headers["Content-Type"].startswith("text/event-stream")
        assert client.event() == Event("tick")
        client.heartbeat()
    client.assert_source_closed()
    assert source.closes == 1


@TARGETS
@SOURCES
def test_an_async_test(target: Any, source_class: Any) -> None:
    async def main() -> None:
        source = source_class(repeat("tick"))
        async with aconnect(target(source), "/ticks") as client:
            assert client.status == 200
            assert client.headers["Content-Type"].startswith("text/event-stream")
            assert await client.event() == Event("tick")
            await client.heartbeat()
        await client.assert_source_closed()
        assert source.closes == 1

    asyncio.run(main())


@TARGETS
def test_what_does_not_come_in_time_may_come_later(target: Any) -> None:
    release = threading.Event()
    with connect(target(SyncSource(["first", release.wait])), "/ticks") as client:
        assert client.event() == Event("first")
        with pytest.raises(TimeoutError, match="no event within 0.01 s"):
            client.event(0.01)
        release.set()
        assert client.event() == Event("true")


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text()


def of_example(example: str) -> Iterator[Any]:
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(example, "docs/testing.md", "exec"), names)
    for name, member in names.items():
        if name.startswith("test_"):
            yield pytest.param(member, id=name)


EXAMPLES = [
    test
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.S)
    for test in of_example(example)
]


@pytest.mark.parametrize("test", EXAMPLES)
def test_the_examples_of_the_page(test: Callable[[], Any]) -> None:
    if inspect.iscoroutinefunction(test):
        asyncio.run(test())
    else:
        test()


def test_there_are_five_of_them() -> None:
    assert len(EXAMPLES) == 5
