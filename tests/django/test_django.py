"""The Django adapter: both handlers, both test clients and the usual middleware."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import pytest
from combinations import AsyncSource, SyncSource
from django import VERSION
from django.core.signals import got_request_exception, request_finished
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.test import (
    AsyncClient,
    Client,
    RequestFactory,
    override_settings,
)
from django.urls import get_script_prefix, set_script_prefix
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import get_language, gettext_lazy
from django.views import View
from django.views.decorators.gzip import gzip_page
from django_site.clients import ASGIClient, WSGIClient
from django_site.middleware import put_around
from django_site.urls import site
from prometheus_client import CollectorRegistry
from rest_framework.views import APIView

import streamkit
from streamkit.stream.background import background_loop
from streamkit_adapters.django import StreamingResponse, StreamingService

HANDLERS = pytest.mark.parametrize("client_class", [WSGIClient, ASGIClient])
SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
VIEWS = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync-view", "async-view"])

STREAMKIT = "streamkit_adapters.django.StreamkitMiddleware"
SYNC_ONLY = "django_site.middleware.sync_only"
ASYNC_ONLY = "django_site.middleware.async_only"
GZIP = {"Accept-Encoding": "gzip"}


def numbers(count: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(count))


@pytest.fixture
def finished() -> Iterator[list[Any]]:
    """A ``request_finished`` for each request."""
    signals: list[Any] = []

    def note(sender: Any, **named: Any) -> None:
        signals.append(sender)

    request_finished.connect(note)
    yield signals
    request_finished.disconnect(note)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What was told of a request, in its order."""
    _log.clear()

    def note_exception(**named: Any) -> None:
        _log.append("got_request_exception")

    def note_end(**named: Any) -> None:
        _log.append("request_finished")

    got_request_exception.connect(note_exception)
    request_finished.connect(note_end)
    yield _log
    got_request_exception.disconnect(note_exception)
    request_finished.disconnect(note_end)


_log: list[str] = []


@HANDLERS
@SOURCES
@VIEWS
class TestResponse:
    def test_a_response_is_a_streaming_response_of_django(
        self, client_class: Any, source_class: Any, asynchronous: bool, finished: list[Any]
    ) -> None:
        source = source_class([{"id": 1}, {"id": 2}])

        def view(request: HttpRequest) -> StreamingHttpResponse:
            response = StreamingService.export("e", source, "csv")
            response.set_cookie("seen", "yes")
            response["Cache-Control"] = "no-store"
            response.status_code = 203
            return response

        with site(view, asynchronous=asynchronous):
            client = client_class()
            assert client.rest() == b"id\r\n1\r\n2\r\n"
        assert client.status == 203
        assert client.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert client.headers["Content-Disposition"] == 'attachment; filename="e.csv"'
        assert client.headers["Cache-Control"] == "no-store"
        assert "seen=yes;" in client.headers["Set-Cookie"]
        assert source.closes == 1
        assert len(finished) == 1

    def test_a_response_is_never_collected_and_closes_a_source_that_its_client_has_left(
        self, client_class: Any, source_class: Any, asynchronous: bool, finished: list[Any]
    ) -> None:
        source = source_class(repeat(1))
        with site(
            lambda _: StreamingService.export("e", source, "ndjson"), asynchronous=asynchronous
        ):
            client = client_class()
            client.until(bool)
            assert source.given < 1000
            client.leave()
        if client_class is WSGIClient:
            assert source.closed.wait(5)
        assert source.closes == 1
        assert len(finished) == 1

    def test_a_failure_midway_breaks_the_response_off(
        self, client_class: Any, source_class: Any, asynchronous: bool, finished: list[Any]
    ) -> None:
        source = source_class([1, 2, KeyError("midway")])
        with site(
            lambda _: StreamingService.export("e", source, "ndjson"),
            STREAMKIT,
            asynchronous=asynchronous,
        ):
            client = client_class()
            with pytest.raises(KeyError, match="midway"):
                client.rest()
        assert (client.status, client.body) == (200, b"1\n2\n")
        assert source.closes == 1
        assert len(finished) == 1


@SOURCES
def test_under_asgi_the_request_is_over_when_the_source_has_closed(source_class: Any) -> None:
    source = source_class(repeat(1))
    released = threading.Event()
    shut = source._shut

    def shut_slowly() -> None:
        released.wait()
        shut()

    source._shut = shut_slowly
    with site(lambda _: StreamingService.export("e", source, "ndjson")):
        client = ASGIClient()
        client.until(bool)
        threading.Timer(0.1, released.set).start()
        client.leave()
    assert source.closes == 1


def blocking(source_class: Any, release: threading.Event) -> Callable[[], Any]:
    """An element of a source that does not come before it is released, if ever."""
    return asyncio.Event().wait if source_class is AsyncSource else release.wait


class TestUnderWSGI:
    """Where the environ has a look at the connection, through the middleware."""

    @SOURCES
    def test_a_client_that_leaves_while_the_source_is_silent_stops_it(
        self, source_class: Any, finished: list[Any]
    ) -> None:
        gone, release = threading.Event(), threading.Event()
        source = source_class(["first", blocking(source_class, release), "last"])
        with site(lambda _: StreamingService.sse("s", source), STREAMKIT):
            client = WSGIClient(environ={"waitress.client_disconnected": gone.is_set})
            client.until(lambda body: b"first" in body)
            gone.set()
            assert b"last" not in client.rest()
        release.set()
        assert source.closed.wait(5)
        assert len(finished) == 1

    @SOURCES
    def test_a_client_that_leaves_before_the_first_element_is_no_error_of_the_site(
        self, source_class: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        release = threading.Event()
        source = source_class([blocking(source_class, release)])
        here, there = socket.socketpair()
        there.close()
        with site(lambda _: StreamingService.export("e", source, "csv"), STREAMKIT), here:
            client = WSGIClient(environ={"werkzeug.socket": here})
            client.rest()
        assert client.status == 400
        assert {record.levelname for record in caplog.records} == {"WARNING"}
        release.set()
        assert source.closed.wait(5)


class Export(View):
    source_class: Any = None

    def get(self, request: HttpRequest) -> StreamingHttpResponse:
        return StreamingService.export("e", self.source_class([1, 2]), "ndjson")


class AsyncExport(View):
    source_class: Any = None

    async def get(self, request: HttpRequest) -> StreamingHttpResponse:
        return StreamingService.export("e", self.source_class([1, 2]), "ndjson")


class RestExport(APIView):  # type: ignore[misc]
    source_class: Any = None

    def get(self, request: HttpRequest) -> StreamingHttpResponse:
        return StreamingService.export("e", self.source_class([1, 2]), "ndjson")


@HANDLERS
@SOURCES
@pytest.mark.parametrize("view", [Export, AsyncExport, RestExport])
def test_a_class_may_be_the_view(client_class: Any, source_class: Any, view: Any) -> None:
    with site(view.as_view(source_class=source_class)):
        assert client_class().rest() == b"1\n2\n"


MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


def shouting(get_response: Any) -> Any:
    """An iterator of the kind that is asked for."""
    return put_around(
        get_response, lambda response: shout_async if response.is_async else shout_sync
    )


def sync_shouting(get_response: Any) -> Any:
    """The same, and does not ask; under ASGI it has to be there first."""
    return put_around(get_response, lambda response: shout_sync)


def async_shouting(get_response: Any) -> Any:
    """The same; under WSGI it has to be there first."""
    return put_around(get_response, lambda response: shout_async)


def shout_sync(content: Iterable[bytes]) -> Iterator[bytes]:
    return map(bytes.upper, content)


async def shout_async(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in content:
            yield chunk.upper()
    finally:
        _log.append("shout closed")


def own(middleware: Callable[..., Any]) -> str:
    return f"{__name__}.{middleware.__name__}"


WRAPPERS = {
    "alone": [],
    "first": [STREAMKIT],
    "usual": MIDDLEWARE,
    "usual-first": [STREAMKIT, *MIDDLEWARE],
    "usual-last": [*MIDDLEWARE, STREAMKIT],
    "sync-only": [SYNC_ONLY],
    "sync-only-first": [STREAMKIT, SYNC_ONLY],
    "sync-only-last": [SYNC_ONLY, STREAMKIT],
    "async-only": [ASYNC_ONLY],
    "async-only-first": [STREAMKIT, ASYNC_ONLY],
    "async-only-last": [ASYNC_ONLY, STREAMKIT],
    "both": [SYNC_ONLY, STREAMKIT, ASYNC_ONLY],
    "both-the-other-way": [ASYNC_ONLY, STREAMKIT, SYNC_ONLY],
}


def gates(source_class: Any, count: int) -> tuple[list[threading.Event], list[Any]]:
    """Events, and elements of a source that each wait for one."""
    events = [threading.Event() for _ in range(count)]

    def element(event: threading.Event) -> Callable[[], Any]:
        if source_class is AsyncSource:
            return lambda: asyncio.to_thread(event.wait)
        return event.wait

    return events, [element(event) for event in events]


def unzipped(client: Any, body: bytes) -> bytes:
    """As much of it as has arrived. Many clients take no archive but the first."""
    if client.headers.get("Content-Encoding") != "gzip":
        return body
    archive = zlib.decompressobj(wbits=31)
    text = archive.decompress(body)
    assert not archive.unused_data
    return text


@HANDLERS
@SOURCES
@VIEWS
@pytest.mark.parametrize("middleware", WRAPPERS.values(), ids=WRAPPERS)
class TestBehindMiddleware:
    def test_each_event_arrives_and_a_client_that_left_stops_the_source(
        self,
        client_class: Any,
        source_class: Any,
        asynchronous: bool,
        middleware: list[str],
        finished: list[Any],
    ) -> None:
        arrived, elements = gates(source_class, 2)
        source = source_class(chain(["first"], elements, repeat("rest")))
        with site(
            lambda _: StreamingService.sse("s", source), *middleware, asynchronous=asynchronous
        ):
            client = client_class(headers=GZIP)
            client.until(lambda body: b"data: first\n\n" in body)
            for times, event in enumerate(arrived, 1):
                event.set()
                client.until(lambda body, times=times: body.count(b"data: true\n\n") >= times)
            client.leave()
        assert source.closed.wait(5)
        assert source.closes == 1
        assert len(finished) == 1

    def test_an_export_is_whole(
        self, client_class: Any, source_class: Any, asynchronous: bool, middleware: list[str]
    ) -> None:
        with site(
            lambda _: StreamingService.export("e", source_class(range(9999)), "ndjson"),
            *middleware,
            asynchronous=asynchronous,
        ):
            client = client_class(headers=GZIP)
            assert unzipped(client, client.rest()) == numbers(9999)
        if "GZipMiddleware" in str(middleware) and (client_class is WSGIClient or VERSION >= (6,)):
            assert client.headers["Content-Encoding"] == "gzip"

    def test_a_failure_midway_breaks_the_response_off(
        self,
        client_class: Any,
        source_class: Any,
        asynchronous: bool,
        middleware: list[str],
        finished: list[Any],
    ) -> None:
        source = source_class([1, 2, KeyError("midway")])
        with site(
            lambda _: StreamingService.export("e", source, "ndjson"),
            *middleware,
            asynchronous=asynchronous,
        ):
            client = client_class(headers=GZIP)
            with pytest.raises(KeyError, match="midway"):
                client.rest()
        assert source.closes == 1
        assert len(finished) == 1


@HANDLERS
@SOURCES
@pytest.mark.parametrize(
    "middleware",
    [
        [own(shouting)],
        [STREAMKIT, own(shouting)],
        [own(shouting), STREAMKIT],
        [own(sync_shouting)],
        [STREAMKIT, own(sync_shouting)],
        [own(async_shouting)],
        [STREAMKIT, own(async_shouting)],
    ],
)
def test_middleware_puts_an_iterator_around_the_content(
    client_class: Any, source_class: Any, middleware: list[str]
) -> None:
    (arrived,), elements = gates(source_class, 1)
    source = source_class(["first", *elements, "last"])
    with site(lambda _: StreamingService.export("e", source, "ndjson"), *middleware):
        client = client_class()
        client.until(lambda body: b'"FIRST"\n' in body)
        arrived.set()
        assert client.rest() == b'"FIRST"\nTRUE\n"LAST"\n'


@SOURCES
def test_under_asgi_what_was_put_around_the_content_is_closed_before_the_request_is_over(
    source_class: Any, log: list[str]
) -> None:
    source = source_class(repeat(1))
    with site(lambda _: StreamingService.export("e", source, "ndjson"), own(async_shouting)):
        client = ASGIClient()
        client.until(bool)
        client.leave()
    assert source.closes == 1
    assert log == ["shout closed", "request_finished"]


@HANDLERS
@SOURCES
@pytest.mark.parametrize("middleware", ["usual", "usual-first", "usual-last"])
def test_a_zipped_export_arrives_as_it_is_made(
    client_class: Any, source_class: Any, middleware: str
) -> None:
    source = source_class(count())
    with site(lambda _: StreamingService.export("e", source, "ndjson"), *WRAPPERS[middleware]):
        client = client_class(headers=GZIP)
        client.until(lambda body: unzipped(client, body).startswith(b"0\n1\n"))
        client.leave()
    assert source.closed.wait(5)


@HANDLERS
def test_session_csrf_and_decorators_work_on_a_response(client_class: Any) -> None:
    @gzip_page
    def view(request: HttpRequest) -> StreamingHttpResponse:
        request.session["user"] = "ada"
        get_token(request)
        return StreamingService.export("e", SyncSource(range(999)), "ndjson")

    with site(view, *MIDDLEWARE[1:]):
        client = client_class(headers=GZIP)
        assert unzipped(client, client.rest()) == numbers(999)
        cookies = "".join(client.headers.get_all("Set-Cookie"))
        assert "sessionid=" in cookies
        assert "csrftoken=" in cookies
        assert client.headers["X-Frame-Options"] == "DENY"
        client = client_class("POST")
        client.rest()
        assert client.status == 403


@HANDLERS
@SOURCES
@VIEWS
def test_language_and_script_prefix_of_the_request_are_those_of_source_and_serializer(
    client_class: Any, source_class: Any, asynchronous: bool
) -> None:
    """Though each may run on another thread than the view."""

    def here() -> str:
        return f"{get_language()} {get_script_prefix()}"

    def view(request: HttpRequest) -> StreamingHttpResponse:
        set_script_prefix("/shop/")
        rows = source_class([here])
        return StreamingService.export("e", rows, "ndjson", lambda row: f"{row}, {here()}")

    with site(view, "django.middleware.locale.LocaleMiddleware", asynchronous=asynchronous):
        client = client_class(headers={"Accept-Language": "de"})
        assert client.rest() == b"de /shop/, de /shop/\n"


def test_the_column_of_a_file_is_its_name() -> None:
    class Document(models.Model):
        file = models.FileField()
        picture = models.FileField(null=True)

        class Meta:
            app_label = "django_site"
            managed = False

    looked_at = Document(id=2, file="b.pdf")
    # This puts a FieldFile in the place of the name.
    assert looked_at.file.name == "b.pdf"
    assert not looked_at.picture
    rows = [Document(id=1, file="a.pdf"), looked_at]
    body = b"".join(StreamingService.export("e", rows, "csv"))
    assert body == b"id,file,picture\r\n1,a.pdf,\r\n2,b.pdf,\r\n"
    body = b"".join(StreamingService.export("e", rows, "ndjson"))
    assert body.endswith(b'{"id":2,"file":"b.pdf","picture":null}\n')


def test_a_lazy_translation_is_a_value() -> None:
    response = StreamingService.export("e", [{"label": gettext_lazy("Yes")}], "json")
    with translation.override("de"):
        assert response.getvalue() == b'[\n{"label":"Ja"}\n]\n'


def shop_of(request: HttpRequest) -> str | None:
    # It may ask the database, which Django forbids on an event loop.
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    return request.headers.get("X-Shop")


@HANDLERS
@SOURCES
@VIEWS
@pytest.mark.parametrize("middleware", ["first", "sync-only-first", "async-only-first"])
class TestMiddleware:
    def test_the_middleware_sets_the_context(
        self,
        client_class: Any,
        source_class: Any,
        asynchronous: bool,
        middleware: str,
        registry: CollectorRegistry,
    ) -> None:
        def seen() -> str:
            context = streamkit.context.get()
            return f"{context.method} {context.headers['Host']} {context.last_event_id}"

        with (
            site(
                lambda _: StreamingService.export("e", source_class([seen]), "ndjson"),
                *WRAPPERS[middleware],
                asynchronous=asynchronous,
            ),
            override_settings(STREAMKIT={"TENANT": own(shop_of)}),
        ):
            headers = {"Last-Event-ID": "7", "X-Shop": "north", "Host": "shop.test"}
            assert client_class(headers=headers).rest() == b'"GET shop.test 7"\n'
        labels = {"kind": "export", "stream": "e", "tenant": "north"}
        assert registry.get_sample_value("stream_elements_total", labels) == 1

    def test_head_does_not_start_the_source(
        self,
        client_class: Any,
        source_class: Any,
        asynchronous: bool,
        middleware: str,
        finished: list[Any],
    ) -> None:
        source = source_class([1])
        with site(
            lambda _: StreamingService.export("e", source, "csv"),
            *WRAPPERS[middleware],
            asynchronous=asynchronous,
        ):
            client = client_class("HEAD")
            assert client.rest() == b""
        assert client.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert source.closed.wait(5)
        assert (source.given, source.closes) == (0, 1)
        assert len(finished) == 1
        if (client_class, source_class) == (ASGIClient, AsyncSource):
            (task,) = source.places
            assert task.get_loop() is not background_loop()

    @pytest.mark.parametrize(
        ("error", "status"), [(KeyError("no table"), 500), (Http404("no table"), 404)]
    )
    def test_a_source_that_fails_at_once_is_answered_by_a_handler(
        self,
        client_class: Any,
        source_class: Any,
        asynchronous: bool,
        middleware: str,
        error: Exception,
        status: int,
        finished: list[Any],
    ) -> None:
        source = source_class([error])
        with site(
            lambda _: StreamingService.export("e", source, "csv"),
            *WRAPPERS[middleware],
            asynchronous=asynchronous,
            handler500=lambda request: HttpResponse("sorry", status=500),
            handler404=lambda request, exception: HttpResponse(f"{exception}", status=404),
        ):
            client = client_class()
            body = client.rest()
        assert (client.status, body) == (status, b"sorry" if status == 500 else b"no table")
        assert "Content-Disposition" not in client.headers
        assert source.closes == 1
        assert len(finished) == 1


class NotesExceptions(MiddlewareMixin):
    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        _log.append("process_exception")


@HANDLERS
def test_an_error_of_the_source_counts_as_one_of_middleware_and_not_of_the_view(
    client_class: Any, log: list[str]
) -> None:
    source = SyncSource([KeyError("no table")])
    view: Any = lambda _: StreamingService.export("e", source, "csv")  # noqa: E731
    with site(view, STREAMKIT, own(NotesExceptions)):
        client_class().rest()
    assert log == ["got_request_exception", "request_finished"]


@HANDLERS
@SOURCES
def test_a_live_stream_does_not_wait_for_an_event(client_class: Any, source_class: Any) -> None:
    goes_on = threading.Event()

    async def forever() -> None:
        await asyncio.Event().wait()

    source = source_class([forever if source_class is AsyncSource else goes_on.wait])
    with site(lambda _: StreamingService.sse("s", source), STREAMKIT):
        client = client_class()
        client.until(lambda body: body == b": heartbeat\n\n")
        assert client.status == 200
        goes_on.set()
        client.leave()


@HANDLERS
@SOURCES
def test_without_the_middleware_a_source_that_fails_at_once_fails_in_the_server(
    client_class: Any, source_class: Any, finished: list[Any]
) -> None:
    with site(lambda _: StreamingService.export("e", source_class([KeyError("no table")]), "csv")):
        client = client_class()
        with pytest.raises(KeyError, match="no table"):
            client.rest()
    assert client.body == b""
    assert len(finished) == 1


def test_without_the_middleware_there_is_a_default_context() -> None:
    def seen() -> str:
        context = streamkit.context.get()
        return f"{context.last_event_id} {context.tenant}"

    with site(lambda _: StreamingService.export("e", SyncSource([seen]), "ndjson")):
        assert WSGIClient(headers={"Last-Event-ID": "7"}).rest() == b'"None system"\n'


@SOURCES
@VIEWS
@pytest.mark.parametrize("middleware", ["first", "usual-first", "usual-last"])
def test_a_client_that_leaves_before_the_first_element_stops_the_source(
    source_class: Any, asynchronous: bool, middleware: str, finished: list[Any]
) -> None:
    entered, release = threading.Event(), threading.Event()

    def block() -> Any:
        entered.set()
        return blocking(source_class, release)()

    source = source_class(chain([block], repeat(1)))
    with site(
        lambda _: StreamingService.export("e", source, "ndjson"),
        *WRAPPERS[middleware],
        asynchronous=asynchronous,
    ):
        client = ASGIClient()
        client.run(entered.wait)
        threading.Timer(0.1, release.set).start()
        client.leave()
    assert source.closes == 1
    assert len(finished) == 1


@SOURCES
@VIEWS
@pytest.mark.parametrize("middleware", ["alone", "usual-first", "usual-last", "sync-only-first"])
class TestClients:
    @pytest.fixture(autouse=True)
    def _site(self, source_class: Any, asynchronous: bool, middleware: str) -> Iterator[None]:
        with site(
            lambda _: StreamingService.export("e", source_class([1, 2]), "ndjson"),
            *WRAPPERS[middleware],
            asynchronous=asynchronous,
        ):
            yield

    @pytest.mark.parametrize("read", [b"".join, StreamingResponse.getvalue])
    def test_the_test_client_reads_a_response(self, read: Any, finished: list[Any]) -> None:
        response: Any = Client().get("/")
        assert isinstance(response, StreamingResponse)
        assert read(response) == b"1\n2\n"
        response.close()
        assert len(finished) == 1

    def test_the_async_test_client_reads_a_response(self, finished: list[Any]) -> None:
        async def main() -> None:
            response: Any = await AsyncClient().get("/")
            assert isinstance(response, StreamingResponse)
            assert b"".join([chunk async for chunk in response]) == b"1\n2\n"
            response.close()

        asyncio.run(main())
        assert len(finished) == 1

    def test_what_the_async_test_client_got_is_not_joined_on_the_loop(self) -> None:
        async def main() -> None:
            response: Any = await AsyncClient().get("/")
            with pytest.raises(RuntimeError, match="is read with 'async for'"):
                response.getvalue()
            response.close()

        asyncio.run(main())

    def test_the_test_clients_read_the_head_alone(self) -> None:
        assert b"".join(Client().head("/")) == b""

        async def main() -> None:
            response: Any = await AsyncClient().head("/")
            assert [chunk async for chunk in response] == []

        asyncio.run(main())


def test_a_view_can_be_called_without_a_handler() -> None:
    request = RequestFactory().get("/")
    response = Export.as_view(source_class=SyncSource)(request)
    assert b"".join(response) == b"1\n2\n"
    assert b"".join(response) == b""


@HANDLERS
def test_an_inline_source_runs_on_the_thread_of_the_request(client_class: Any) -> None:
    source = SyncSource([1])
    with site(
        lambda _: StreamingService.export("e", streamkit.inline(source), "ndjson"), STREAMKIT
    ):
        client = client_class()
        body = client.rest()
    if client_class is WSGIClient:
        assert body == b"1\n"
        assert source.places == {threading.current_thread()}
    else:
        assert client.status == 500
    assert source.closes == 1


EXPORT = """
from werkzeug.test import Client
from django_orders import application
print(Client(application).get('/orders.csv?status=open').text, end='')
"""

EVENTS = """
from streamkit.testing import connect
from django_events import application
with connect(application, "/events", headers={"Host": "localhost", "Last-Event-ID": "7"}) as client:
    print(client.event().data, client.event().last_event_id)
"""


@pytest.mark.parametrize(
    ("script", "printed"),
    [(EXPORT, b"id,status\r\n0,open\r\n1,open\r\n2,open\r\n"), (EVENTS, b'{"tick":8} 9\n')],
    ids=["export", "events"],
)
def test_the_example_for_django_runs(script: str, printed: bytes) -> None:
    """The example, in a process of its own: settings are made once."""
    examples = Path(__file__).resolve().parents[2] / "examples"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(examples), *sys.path])},
        check=True,
        capture_output=True,
    )
    assert run.stdout == printed
