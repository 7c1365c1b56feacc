"""The test kit on Django: its handlers, its responses, and those that its test clients return."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from typing import Any

import pytest
from combinations import AsyncSource, SyncSource
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connections
from django.test import AsyncClient, Client, TestCase
from django_site.models import Customer
from django_site.urls import site

from streamkit.testing import Event, aconnect, connect
from streamkit_adapters.django import StreamingService

STREAMKIT = "streamkit_adapters.django.StreamkitMiddleware"

SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
HANDLERS = pytest.mark.parametrize("handler", [WSGIHandler, ASGIHandler])
MIDDLEWARE = pytest.mark.parametrize("middleware", [[], [STREAMKIT]], ids=["bare", "middleware"])

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    settings = connections.settings["default"]
    name = settings["NAME"]
    connections["default"].close()
    settings["NAME"] = tmp_path_factory.mktemp("django") / "kit.sqlite3"
    call_command("migrate", run_syncdb=True, verbosity=0)
    yield
    connections["default"].close()
    settings["NAME"] = name


def check(target: Any, source: Any) -> None:
    with connect(target) as client:
        assert client.status == 200
        assert client.headers["Content-Type"] == "text/event-stream"
        assert client.event() == Event("tick")
        client.heartbeat()
    client.assert_source_closed()
    assert source.closes == 1


async def acheck(target: Any, source: Any) -> None:
    async with aconnect(target) as client:
        assert client.status == 200
        assert client.headers["Content-Type"] == "text/event-stream"
        assert await client.event() == Event("tick")
        await client.heartbeat()
    await client.assert_source_closed()
    assert source.closes == 1


@HANDLERS
@SOURCES
@MIDDLEWARE
class TestApps:
    def test_a_sync_test_reads_a_stream(
        self, handler: Any, source_class: Any, middleware: list[str]
    ) -> None:
        source = source_class(repeat("tick"))
        with site(lambda request: StreamingService.sse("s", source), *middleware):
            check(handler(), source)

    def test_an_async_test_reads_a_stream(
        self, handler: Any, source_class: Any, middleware: list[str]
    ) -> None:
        source = source_class(repeat("tick"))
        with site(lambda request: StreamingService.sse("s", source), *middleware):
            asyncio.run(acheck(handler(), source))


@SOURCES
class TestResponses:
    def test_a_sync_test_reads_a_stream(self, source_class: Any) -> None:
        source = source_class(repeat("tick"))
        check(StreamingService.sse("s", source), source)

    def test_an_async_test_reads_a_stream(self, source_class: Any) -> None:
        source = source_class(repeat("tick"))

        async def main() -> None:
            await acheck(StreamingService.sse("s", source), source)

        asyncio.run(main())

    @MIDDLEWARE
    def test_a_sync_test_reads_the_response_of_a_client(
        self, source_class: Any, middleware: list[str]
    ) -> None:
        source = source_class(repeat("tick"))
        with site(lambda request: StreamingService.sse("s", source), *middleware):
            check(Client().get("/"), source)

    @MIDDLEWARE
    def test_an_async_test_reads_the_response_of_a_client(
        self, source_class: Any, middleware: list[str]
    ) -> None:
        source = source_class(repeat("tick"))

        async def main() -> None:
            await acheck(await AsyncClient().get("/"), source)

        with site(lambda request: StreamingService.sse("s", source), *middleware):
            asyncio.run(main())


def test_an_event_that_does_not_come_in_time_may_come_later() -> None:
    release = threading.Event()
    source = SyncSource(["first", release.wait])
    with site(lambda request: StreamingService.sse("s", source)), connect(WSGIHandler()) as client:
        assert client.event() == Event("first")
        with pytest.raises(TimeoutError, match="no event within 0.01 s"):
            client.event(0.01)
        release.set()
        assert client.event() == Event("true")


class TestInATestCase(TestCase):
    """The data of which no other thread can see."""

    def setUp(self) -> None:
        Customer.objects.create(name="Ada")

    def export(self, request: object = None) -> Any:
        return StreamingService.export("names", Customer.objects.values("name"), "ndjson")

    def test_a_test_case_reads_a_response(self) -> None:
        with connect(self.export()) as client:
            assert client.row() == {"name": "Ada"}

    def test_a_test_case_reads_the_response_of_a_client(self) -> None:
        for middleware in ([], [STREAMKIT]):
            with site(self.export, *middleware), connect(Client().get("/")) as client:
                assert client.row() == {"name": "Ada"}
            client.assert_source_closed()

    async def test_a_test_case_reads_the_response_of_an_async_client(self) -> None:
        async def names() -> AsyncIterator[dict[str, str]]:
            async for customer in Customer.objects.all():
                yield {"name": customer.name}

        with site(lambda request: StreamingService.export("names", names(), "ndjson")):
            response: Any = await AsyncClient().get("/")
            async with aconnect(response) as client:
                assert await client.row() == {"name": "Ada"}
            await client.assert_source_closed()
