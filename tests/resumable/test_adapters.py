"""An answer through the plain adapters, Flask, Starlette and FastAPI: the same for all of them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from combinations import WAIT

from streamkit import Resumable, channels
from streamkit.testing import aconnect, connect
from streamkit_adapters import asgi, wsgi

answers = Resumable("adapters")


@pytest.fixture(autouse=True)
def _in_memory() -> None:
    channels.use(None)


class Tokens:
    """Five of them; the last four once it goes on."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.closed = threading.Event()
        self.made = 0

    def sync(self) -> Iterator[str]:
        self.made += 1
        try:
            yield "0"
            assert self.goes_on.wait(WAIT)
            yield from "1234"
        finally:
            self.closed.set()

    async def on_loop(self) -> AsyncIterator[str]:
        self.made += 1
        try:
            yield "0"
            while not self.goes_on.is_set():  # noqa: ASYNC110 (it is set on any thread)
                await asyncio.sleep(0.005)
            for token in "1234":
                yield token
        finally:
            self.closed.set()


Make = Callable[[Callable[[], Any]], Any]
"""Makes an app of what its one view answers with."""


def wsgi_app(answer: Callable[[Any], Any]) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        return answer(wsgi.StreamingService)(environ, start_response)

    return wsgi.StreamkitMiddleware(app)


def asgi_app(answer: Callable[[Any], Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(asgi.StreamingService)(scope, receive, send)

    return asgi.StreamkitMiddleware(app)


def flask_app(answer: Callable[[Any], Any]) -> Any:
    flask = pytest.importorskip("flask")
    from streamkit_adapters import flask as adapter

    app = flask.Flask(__name__)
    adapter.StreamkitMiddleware(app)
    app.add_url_rule("/", view_func=lambda: answer(adapter.StreamingService))
    return app


def starlette_app(answer: Callable[[Any], Any]) -> Any:
    applications = pytest.importorskip("starlette.applications")
    from starlette.routing import Route

    from streamkit_adapters import starlette as adapter

    async def view(request: Any) -> Any:
        return answer(adapter.StreamingService)

    app = applications.Starlette(routes=[Route("/", view)])
    app.add_middleware(adapter.StreamkitMiddleware)
    return app


def fastapi_app(answer: Callable[[Any], Any]) -> Any:
    fastapi = pytest.importorskip("fastapi")
    from streamkit_adapters import fastapi as adapter

    app = fastapi.FastAPI()
    app.add_middleware(adapter.StreamkitMiddleware)

    async def view() -> Any:
        return answer(adapter.StreamingService)

    app.get("/")(view)
    return app


APPS = pytest.mark.parametrize("make", [wsgi_app, asgi_app, flask_app, starlette_app, fastapi_app])
SOURCES = pytest.mark.parametrize("source", ["sync", "on_loop"])


def app_of(make: Make, tokens: Tokens, source: str) -> Any:
    key = str(uuid4())

    def answer(service: Any) -> Any:
        return service.sse("answer", answers.start(key, getattr(tokens, source)()))

    return make(answer)  # type: ignore[arg-type]


@APPS
@SOURCES
def test_a_reload_in_the_middle_of_a_sync_test(make: Make, source: str) -> None:
    tokens = Tokens()
    app = app_of(make, tokens, source)
    with connect(app, "/") as client:
        event = client.event()
        assert event.data == "0"
        with connect(app, "/") as tab:
            assert tab.event() == event
            tokens.goes_on.set()
            assert [tab.event().data for _ in range(4)] == [*"1234"]
        client.disconnect()
    headers = {"Last-Event-ID": event.last_event_id}
    with connect(app, "/", headers=headers) as client:
        later = [client.event() for _ in range(4)]
        assert [each.data for each in later] == [*"1234"]
    with connect(app, "/", headers={"Last-Event-ID": later[-1].last_event_id}) as client:
        assert client.status == 204
    assert tokens.closed.wait(WAIT)
    assert tokens.made == 1


@APPS
@SOURCES
def test_its_client_leaves_an_async_test(make: Make, source: str) -> None:
    tokens = Tokens()
    app = app_of(make, tokens, source)

    async def main() -> None:
        async with aconnect(app, "/") as client:
            assert (await client.event()).data == "0"
        assert not tokens.closed.is_set()
        tokens.goes_on.set()
        async with aconnect(app, "/") as client:
            assert [(await client.event()).data for _ in range(5)] == [*"01234"]
            await client.read()

    asyncio.run(main())
    assert tokens.closed.wait(WAIT)
    assert tokens.made == 1


def test_contexts_of_flask_last_as_long_as_the_source() -> None:
    flask = pytest.importorskip("flask")
    from streamkit_adapters import flask as adapter

    app = flask.Flask(__name__)
    adapter.StreamkitMiddleware(app)
    goes_on, torn_down, found = threading.Event(), threading.Event(), []
    app.teardown_appcontext(lambda _: torn_down.set())

    def tokens() -> Iterator[str]:
        yield flask.request.path
        assert goes_on.wait(WAIT)
        found.append((torn_down.is_set(), flask.request.path, flask.g.user))
        yield "end"

    def view() -> Any:
        flask.g.user = "her"
        return adapter.StreamingService.sse("answer", answers.start("flask", tokens()))

    app.add_url_rule("/", view_func=view)
    with connect(app, "/") as client:
        assert client.event().data == "/"
    goes_on.set()
    assert torn_down.wait(WAIT)
    assert found == [(False, "/", "her")]
