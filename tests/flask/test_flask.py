"""The Flask adapter: contexts, teardown and error handlers are where a Flask user expects them."""

import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import flask
import pytest
from combinations import WAIT, SyncSource, wait_until
from flask import Flask, abort, g, request, session
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import HTTPException
from werkzeug.test import Client, create_environ

import streamkit
from streamkit_adapters.flask import StreamingResponse, StreamingService, StreamkitMiddleware


@pytest.fixture
def log() -> list[str]:
    """What happened, in its order."""
    return []


@pytest.fixture
def app(log: list[str]) -> Flask:
    app = Flask("shop")
    app.secret_key = "for tests"
    app.before_request(lambda: session.update(user="ada"))
    app.teardown_request(lambda error: log.append(f"request torn down: {error!r}"))
    app.teardown_appcontext(lambda error: log.append(f"app torn down: {error!r}"))
    return app


def sync_source(log: list[str]) -> Iterator[str]:
    try:
        for _ in range(2):
            yield f"{request.args['q']} {session['user']} {g.order}"
    finally:
        log.append("source closed")


async def async_source(log: list[str]) -> AsyncIterator[str]:
    for line in sync_source(log):
        yield line


SOURCES = pytest.mark.parametrize("source", [sync_source, async_source])
TORN_DOWN = ["source closed", "request torn down: None", "app torn down: None"]


@SOURCES
def test_request_session_and_g_work_in_the_source_and_teardown_follows_it(
    app: Flask, log: list[str], source: Callable[[list[str]], Any]
) -> None:
    @app.get("/")
    def view() -> StreamingResponse:
        g.order = 17
        return StreamingService.sse("s", source(log), lambda line: f"{line} {request.path}")

    response = app.test_client().get("/?q=books")
    assert response.text == "data: books ada 17 /\n\n" * 2
    response.close()
    assert log == TORN_DOWN


@pytest.mark.parametrize("mark", [lambda source: source, streamkit.inline, streamkit.lossless])
def test_a_source_may_be_in_stream_with_context(
    app: Flask, log: list[str], mark: Callable[[Any], Any]
) -> None:
    """Which pushes the contexts where the source is read, while the request is handled."""
    handled = threading.Event()

    def rows() -> Iterator[str]:
        for line in sync_source(log):
            yield line
            assert mark is streamkit.inline or handled.wait(WAIT)

    @app.get("/")
    def view() -> StreamingResponse:
        g.order = 17
        return StreamingService.sse("s", mark(flask.stream_with_context(rows())))

    response = Client(app).get("/?q=books")
    handled.set()
    assert b"".join(response.iter_encoded()) == b"data: books ada 17\n\n" * 2
    response.close()
    wait_until(lambda: len(log) == 3)
    assert log == TORN_DOWN


def test_a_download_and_an_export_may_be_of_stream_with_context(app: Flask, log: list[str]) -> None:
    @app.get("/download")
    def download() -> StreamingResponse:
        pieces = flask.stream_with_context(f"{request.path}{n}".encode() for n in range(2))
        return StreamingService.download(pieces, filename="f")

    @app.get("/export")
    def export() -> StreamingResponse:
        rows: Iterator[Any] = ({"path": request.path, "n": n} for n in range(2))
        return StreamingService.export("e", flask.stream_with_context(rows), "csv")

    client = app.test_client()
    assert client.get("/download").data == b"/download0/download1"
    assert client.get("/export").data == b"path,n\r\n/export,0\r\n/export,1\r\n"
    wait_until(lambda: len(log) == 4)


def test_teardown_waits_for_a_source_that_its_client_has_left(app: Flask, log: list[str]) -> None:
    """Though it is inside its own code when the client leaves, and the request long over."""
    entered, release = threading.Event(), threading.Event()

    def serialize(line: str) -> str:
        return line

    def blocking() -> Iterator[str]:
        try:
            yield "first"
            entered.set()
            release.wait()
            log.append(f"still {request.args['q']} {g.order}")
        finally:
            log.append("source closed")

    @app.get("/")
    def view() -> StreamingResponse:
        g.order = 17
        return StreamingService.sse("s", blocking(), serialize)

    response = Client(app).get("/?q=books")
    assert next(response.iter_encoded()) == b"data: first\n\n"
    assert entered.wait(WAIT)
    response.close()
    assert log == []
    release.set()
    wait_until(lambda: len(log) == 4)
    assert log == ["still books 17", *TORN_DOWN]


def test_contexts_are_gone_when_the_stream_is_over(app: Flask, log: list[str]) -> None:
    @app.get("/")
    def view() -> StreamingResponse:
        return StreamingService.export("e", [1, 2], "ndjson")

    for _ in range(3):
        assert Client(app).get("/").data == b"1\n2\n"
        assert not flask.has_app_context()
        assert not flask.has_request_context()
    assert log == ["request torn down: None", "app torn down: None"] * 3


@pytest.mark.parametrize("kind", ["sse", "export"])
def test_head_does_not_start_the_source(app: Flask, log: list[str], kind: str) -> None:
    @app.get("/")
    def view() -> StreamingResponse:
        if kind == "sse":
            return StreamingService.sse("s", sync_source(log))
        return StreamingService.export("e", sync_source(log), "csv")

    response = Client(app).head("/")
    assert response.data == b""
    assert (
        response.content_type
        == {"sse": "text/event-stream", "export": "text/csv; charset=utf-8"}[kind]
    )
    response.close()
    assert log == ["request torn down: None", "app torn down: None"]


class NoRows(Exception):
    pass


def failing(error: Exception) -> Iterator[int]:
    raise error
    yield


class TestASourceThatFailsAtOnce:
    def test_a_source_that_fails_at_once_is_answered_by_the_error_handler_of_the_app(
        self, app: Flask, log: list[str]
    ) -> None:
        @app.errorhandler(NoRows)
        def no_rows(error: NoRows) -> tuple[str, int]:
            return f"nothing in {request.path}", 410

        @app.get("/export")
        def view() -> StreamingResponse:
            return StreamingService.export("e", failing(NoRows()), "csv")

        @app.after_request
        def after(response: flask.Response) -> flask.Response:
            response.headers.add("X-After", "yes")
            return response

        response = Client(app).get("/export")
        assert (response.status_code, response.text) == (410, "nothing in /export")
        assert response.headers.getlist("X-After") == ["yes"]
        assert "Content-Disposition" not in response.headers
        response.close()
        assert [entry.partition(":")[0] for entry in log] == [
            "request torn down",
            "app torn down",
        ]

    def test_a_source_that_fails_at_once_is_a_500(self, app: Flask) -> None:
        @app.get("/")
        def view() -> StreamingResponse:
            return StreamingService.export("e", failing(NoRows()), "csv")

        assert Client(app).get("/").status_code == 500

    def test_a_source_may_abort_at_once(self, app: Flask) -> None:
        def rows() -> Iterator[int]:
            abort(404)
            yield

        @app.get("/")
        def view() -> StreamingResponse:
            return StreamingService.export("e", rows(), "csv")

        assert Client(app).get("/").status_code == 404


def test_teardown_is_told_of_a_failure_midway(app: Flask, log: list[str]) -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise NoRows

    @app.get("/")
    def view() -> StreamingResponse:
        return StreamingService.export("e", rows(), "ndjson")

    response = Client(app).get("/", buffered=False)
    with pytest.raises(NoRows):
        b"".join(response.iter_encoded())
    response.close()
    assert log == ["request torn down: NoRows()", "app torn down: NoRows()"]


def test_a_response_is_one_of_flask(app: Flask) -> None:
    @app.get("/")
    def view() -> tuple[StreamingResponse, dict[str, str]]:
        response = StreamingService.export("e", [1], "json")
        response.set_cookie("seen", "yes")
        response.headers["Cache-Control"] = "no-store"
        return response, {"X-View": "yes"}

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        response.headers["X-After"] = str(response.is_streamed)
        return response

    response = app.test_client().get("/")
    assert response.json == [1]
    assert response.headers["X-View"] == "yes"
    assert response.headers["X-After"] == "True"
    assert response.headers["Cache-Control"] == "no-store"
    assert "seen=yes" in response.headers["Set-Cookie"]


def test_a_response_that_is_not_returned_closes_its_source(app: Flask, log: list[str]) -> None:
    source = SyncSource([1])

    @app.get("/")
    def view() -> str:
        StreamingService.export("e", source, "csv").close()
        return "instead"

    assert Client(app).get("/").text == "instead"
    assert source.closes == 1
    assert log == ["request torn down: None", "app torn down: None"]


def test_a_body_that_is_replaced_closes_its_source_with_the_response(
    app: Flask, log: list[str]
) -> None:
    source = SyncSource([1])

    @app.get("/")
    def view() -> StreamingResponse:
        return StreamingService.export("e", source, "csv")

    @app.after_request
    def replace(response: flask.Response) -> flask.Response:
        response.set_data("instead")
        return response

    response = Client(app).get("/")
    assert response.text == "instead"
    response.close()
    assert (source.given, source.closes) == (0, 1)
    assert log == ["request torn down: None", "app torn down: None"]
    assert Client(app).head("/").headers["Content-Length"] == "7"


@pytest.mark.parametrize("how", ["the server drops it", "teardown fails"])
def test_a_file_that_no_server_closes_is_closed(app: Flask, tmp_path: Path, how: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"data")
    file = path.open("rb")
    app.add_url_rule("/", view_func=lambda: StreamingService.download(file, filename="data"))
    if how == "teardown fails":
        app.teardown_request(lambda error: abort(500))
    environ = create_environ() | {"wsgi.file_wrapper": FileWrapper}
    with suppress(HTTPException):
        app.wsgi_app(environ, lambda *head: lambda data: None)
    del environ
    gc.collect()
    wait_until(lambda: file.closed)


def test_functions_given_to_call_on_close_are_called(app: Flask, log: list[str]) -> None:
    @app.get("/")
    def view() -> StreamingResponse:
        response = StreamingService.export("e", [1], "csv")
        response.call_on_close(lambda: log.append("closed"))
        return response

    Client(app).get("/").close()
    assert log.count("closed") == 1


def test_a_teardown_function_that_raises_does_not_keep_the_others(
    app: Flask, log: list[str]
) -> None:
    @app.teardown_request
    def fail(error: BaseException | None) -> None:
        raise ZeroDivisionError

    @app.get("/")
    def view() -> StreamingResponse:
        return StreamingService.export("e", [1], "csv")

    with pytest.raises(ZeroDivisionError):
        Client(app).get("/").close()
    assert log[-1] == "app torn down: None"


def test_an_app_may_have_a_response_class_of_its_own(app: Flask, log: list[str]) -> None:
    class Branded(flask.Response):
        @property
        def brand(self) -> str:
            return "shop"

    @app.after_request
    def brand(response: flask.Response) -> flask.Response:
        assert isinstance(response, Branded)
        response.headers["X-Brand"] = response.brand
        return response

    app.response_class = Branded

    @app.get("/")
    def view() -> StreamingResponse:
        return StreamingService.sse("s", sync_source(log))

    @app.before_request
    def order() -> None:
        g.order = 17

    response = Client(app).get("/?q=books")
    assert response.text == "data: books ada 17\n\n" * 2
    assert response.headers["X-Brand"] == "shop"
    response.close()
    assert log == TORN_DOWN


class TestMiddleware:
    @pytest.fixture
    def app(self, app: Flask) -> Flask:
        @app.get("/")
        def view() -> StreamingResponse:
            def source() -> Iterator[str]:
                seen = streamkit.context.get()
                yield f"{seen.method} {seen.last_event_id} {seen.tenant}"

            return StreamingService.sse("s", source())

        return app

    def test_the_middleware_sets_the_context(self, app: Flask) -> None:
        StreamkitMiddleware(app)
        response = app.test_client().get("/", headers={"Last-Event-ID": "7", "X-Tenant": "evil"})
        assert response.text == "data: GET 7 system\n\n"

    def test_the_tenant_may_come_from_the_session(
        self, app: Flask, registry: CollectorRegistry
    ) -> None:
        middleware = StreamkitMiddleware(tenant=lambda request: session["user"])
        middleware.init_app(app)
        assert app.test_client().get("/").text == "data: GET None ada\n\n"
        labels = {"kind": "sse", "stream": "s", "tenant": "ada"}
        assert registry.get_sample_value("stream_elements_total", labels) == 1

    def test_without_the_middleware_there_is_a_default_context(self, app: Flask) -> None:
        assert app.test_client().get("/").text == "data:  None system\n\n"

    def test_a_tenant_that_is_no_text_is_an_error_that_says_so(self, app: Flask) -> None:
        app.testing = True
        StreamkitMiddleware(app, tenant=lambda request: 7)  # type: ignore[arg-type,return-value]
        with pytest.raises(TypeError, match="tenant must be a str or None, got int"):
            app.test_client().get("/")


def test_an_unread_result_of_a_view_leaves_no_context_behind(app: Flask) -> None:
    @app.get("/stream")
    def stream() -> StreamingResponse:
        g.order = 1
        return StreamingService.sse("s", sync_source([]))

    @app.get("/plain")
    def plain() -> str:
        return str(hasattr(g, "order"))

    client = app.test_client()
    client.get("/stream?q=1").close()
    assert client.get("/plain").text == "False"


class ServerExit(BaseException):
    """As a server raises it to end a worker: no error of the view."""


@SOURCES
@pytest.mark.parametrize("error_class", [ValueError, ServerExit])
def test_teardown_runs_where_the_server_refuses_the_head(
    app: Flask, log: list[str], source: Callable[[list[str]], Any], error_class: Any
) -> None:
    """As for a header that it cannot send."""

    @app.get("/")
    def view() -> StreamingResponse:
        g.order = 1
        return StreamingService.export("e", source(log), "ndjson")

    def refuse(*head: object) -> Any:
        raise error_class("invalid header")

    with pytest.raises(error_class, match="invalid header"):
        app(create_environ("/?q=x"), refuse)
    wait_until(lambda: len(log) == 3)
    assert log[0] == "source closed"
    assert {line.partition(":")[0] for line in log[1:]} == {"request torn down", "app torn down"}


def test_teardown_runs_where_a_source_exits_before_its_first_row(
    app: Flask, log: list[str]
) -> None:
    @app.get("/")
    def view() -> StreamingResponse:
        return StreamingService.export("e", streamkit.inline(SyncSource([ServerExit()])), "ndjson")

    with pytest.raises(ServerExit):
        app(create_environ("/"), lambda *head: lambda data: None)
    wait_until(lambda: len(log) == 2)
    assert {line.partition(":")[0] for line in log} == {"request torn down", "app torn down"}
