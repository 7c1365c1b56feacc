"""The service: what its responses say of themselves, and what it refuses at the call."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from combinations import SyncSource

import streamkit
from streamkit import ServerSentEvent, SizeMismatch, StreamingService
from streamkit_adapters import asgi, wsgi


def body(response: streamkit.StreamResponse) -> bytes:
    return b"".join(response)


UNSNIFFED = {"X-Content-Type-Options": "nosniff"}


@pytest.mark.parametrize(
    ("response", "headers", "expected"),
    [
        (
            lambda: StreamingService.sse("s", ["a"]),
            {
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache, no-transform",
                "X-Accel-Buffering": "no",
            },
            b"data: a\n\n",
        ),
        (
            lambda: StreamingService.download([b"a", b"bc"], filename="a.pdf", size=3),
            {
                "Content-Type": "application/pdf",
                "Content-Disposition": 'attachment; filename="a.pdf"',
                "Content-Length": "3",
                **UNSNIFFED,
                "Cache-Control": "no-store",
            },
            b"abc",
        ),
        (
            lambda: StreamingService.download([b"x"], filename="a", content_type="image/png"),
            {
                "Content-Type": "image/png",
                "Content-Disposition": 'attachment; filename="a"',
                **UNSNIFFED,
                "Cache-Control": "no-store",
            },
            b"x",
        ),
        (
            lambda: StreamingService.export("orders", [{"a": 1}], "json"),
            {
                "Content-Type": "application/json",
                "Content-Disposition": 'attachment; filename="orders.json"',
                **UNSNIFFED,
                "Cache-Control": "no-store",
            },
            b'[\n{"a":1}\n]\n',
        ),
        (
            lambda: StreamingService.export("orders", [{"a": 1}], "csv"),
            {
                "Content-Type": "text/csv; charset=utf-8",
                "Content-Disposition": 'attachment; filename="orders.csv"',
                **UNSNIFFED,
                "Cache-Control": "no-store",
            },
            b"a\r\n1\r\n",
        ),
        (
            lambda: StreamingService.export("orders", [{"a": 1}], "ndjson"),
            {
                "Content-Type": "application/x-ndjson",
                "Content-Disposition": 'attachment; filename="orders.ndjson"',
                **UNSNIFFED,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            },
            b'{"a":1}\n',
        ),
    ],
    ids=["sse", "download", "download-typed", "json", "csv", "ndjson"],
)
def test_each_kind_has_these_headers_and_this_body(
    response: Any, headers: dict[str, str], expected: bytes
) -> None:
    made = response()
    assert made.status == 200
    assert dict(made.headers) == headers
    assert body(made) == expected


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (ServerSentEvent(data="x", event="tick", id="7"), b"event: tick\nid: 7\ndata: x\n\n"),
        ("two\nlines", b"data: two\ndata: lines\n\n"),
        ({"a": [1, None]}, b'data: {"a":[1,null]}\n\n'),
        (1.5, b"data: 1.5\n\n"),
    ],
)
def test_events_without_serialize_are_encoded_as_they_are(element: Any, expected: bytes) -> None:
    assert body(StreamingService.sse("s", [element])) == expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ServerSentEvent(data="x", retry=500), b"retry: 500\ndata: x\n\n"),
        ({"data": "x", "id": "1"}, b"id: 1\ndata: x\n\n"),
        ("x", b"data: x\n\n"),
    ],
)
def test_events_with_serialize_are_what_it_returns(result: Any, expected: bytes) -> None:
    assert body(StreamingService.sse("s", [0], lambda _: result)) == expected


@pytest.mark.parametrize(
    ("format", "expected"), [("csv", b"1;2\n3;4\n"), ("ndjson", b"1;2\n3;4\n")]
)
def test_serialize_gives_the_text_of_a_row(format: Any, expected: bytes) -> None:
    rows = [(1, 2), (3, 4)]
    assert body(StreamingService.export("e", rows, format, lambda r: f"{r[0]};{r[1]}")) == expected


@pytest.mark.parametrize(
    ("pieces", "size", "sent", "message"),
    [
        ([b"abc", b"d"], 5, b"abcd", r"5.*4"),
        ([b"abc", b"def"], 5, b"abc", r"5.*6"),
        ([b"abc", b"de", b"f"], 5, b"abc", r"5.*6"),
        ([], 1, b"", r"1.*0"),
        ([b"a"], 0, b"", r"0.*1"),
    ],
    ids=["fewer", "more", "more-after-all-of-it", "nothing", "something"],
)
def test_a_download_of_another_size_breaks_off_before_it_looks_complete(
    pieces: list[bytes], size: int, sent: bytes, message: str
) -> None:
    chunks = iter(StreamingService.download(pieces, filename="f", size=size))
    received = b""
    with pytest.raises(SizeMismatch, match=message):
        while True:
            received += next(chunks)
    assert received == sent


def test_one_bad_event_costs_only_itself(caplog: pytest.LogCaptureFixture, registry: Any) -> None:
    events = [
        "before",
        ServerSentEvent(data="x", event="a\nb"),
        ServerSentEvent(data="x", id="a\0"),
        ServerSentEvent(data="x", retry=-1),
        "after",
    ]
    assert body(StreamingService.sse("s", events)) == (
        b"data: before\n\n: refused\n\n: refused\n\n: refused\n\ndata: after\n\n"
    )
    labels = {"kind": "sse", "stream": "s", "tenant": "system"}
    assert registry.get_sample_value("stream_refused_total", labels) == 3
    for field, message in zip(("event", "id", "retry"), caplog.messages, strict=True):
        assert message.startswith("sse stream 's' (tenant 'system') refused an element: ")
        assert field in message.partition("element: ")[2]


def generator_function() -> Iterator[int]:
    yield 1


async def async_generator_function() -> AsyncIterator[int]:
    yield 1


async def coroutine_function() -> list[int]:
    return [1]


async def opening_async(start: int, stop: int) -> AsyncIterator[bytes]:
    yield b""


async def opening_coroutine(start: int, stop: int) -> list[bytes]:
    return []


def sse(**arguments: Any) -> Any:
    return StreamingService.sse(**{"name": "s", "events": []} | arguments)


def download(**arguments: Any) -> Any:
    return StreamingService.download(**{"source": [], "filename": "f"} | arguments)


def export(**arguments: Any) -> Any:
    return StreamingService.export(**{"name": "e", "rows": [], "format": "json"} | arguments)


NOT_SOURCES = [
    (None, "got NoneType"),
    (7, "got int"),
    ({"a": 1}, "got one mapping"),
    (generator_function, r"got a function: call it, as in generator_function\(\)"),
    (async_generator_function, r"got a function: call it, as in async_generator_function\(\)"),
    (coroutine_function, r"got a function: call it, as in coroutine_function\(\)"),
    (SyncSource, "got type"),
]


@pytest.mark.parametrize(
    ("call", "argument", "value", "message"),
    [
        *(
            (call, argument, value, message)
            for call, argument in [(sse, "events"), (download, "source"), (export, "rows")]
            for value, message in NOT_SOURCES
        ),
        (sse, "events", "text", "got one str: put it in a list"),
        (export, "rows", bytearray(b"x"), "got one bytearray: put it in a list"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_source_is_refused(call: Any, argument: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"^{argument} must be an iterable.*{message}"):
        call(**{argument: value})


def test_a_coroutine_is_refused_and_does_not_warn_of_having_been_forgotten() -> None:
    with pytest.raises(TypeError, match="rows must be .* got a coroutine: await it"):
        export(rows=coroutine_function())


GENERATORS = [
    (generator_function, "read"),
    (generator_function, "closed"),
    (async_generator_function, "read"),
    (async_generator_function, "closed"),
]


@pytest.mark.parametrize(
    ("call", "argument"), [(sse, "events"), (download, "source"), (export, "rows")]
)
@pytest.mark.parametrize(("function", "how"), GENERATORS, ids=lambda each: str(each)[:20])
def test_a_generator_that_is_over_is_refused(
    call: Any, argument: str, function: Any, how: str
) -> None:
    async def over() -> Any:
        generator = function()
        if hasattr(generator, "__anext__"):
            _ = [each async for each in generator] if how == "read" else await generator.aclose()
        else:
            _ = [*generator] if how == "read" else generator.close()
        return generator

    message = f"^{argument} must have elements left, got the generator '{function.__name__}'"
    with pytest.raises(ValueError, match=message):
        call(**{argument: asyncio.run(over())})
    with pytest.raises(ValueError, match="^iterable must have elements left"):
        streamkit.inline(asyncio.run(over()))


def test_a_generator_that_was_begun_is_streamed_from_there() -> None:
    rows = iter(generator_function())
    next(rows)
    assert body(export(rows=rows)) == b"[\n]\n"


@pytest.mark.parametrize("name", ["sse", "download", "export"])
def test_an_error_about_arguments_names_the_service_that_people_know(name: str) -> None:
    for service in (StreamingService, wsgi.StreamingService, asgi.StreamingService):
        method = getattr(service, name)
        assert method.__qualname__ == f"StreamingService.{name}"
        with pytest.raises(TypeError, match=rf"^StreamingService\.{name}\(\) missing"):
            method()


def test_a_service_of_ones_own_may_be_put_before_another() -> None:
    """Methods are looked up as anywhere else."""

    class Audited(StreamingService):
        @classmethod
        def sse(cls, name: str, events: Any, serialize: Any = None) -> Any:
            return super().sse(name, ["audited"], serialize)

    class Other(StreamingService):
        pass

    class Both(Other, Audited):
        pass

    assert b"".join(Both.sse("events", ["event"])) == b"data: audited\n\n"


def test_an_entry_point_of_the_users_own_stays_what_it_is() -> None:
    class Own(StreamingService):
        @classmethod
        def sse(cls, name: str, events: Any, serialize: Any = None) -> streamkit.StreamResponse:
            return super().sse(name, [*events, "bye"], serialize)

    assert body(Own.sse("s", ["a"])) == b"data: a\n\ndata: bye\n\n"


def test_the_version_is_that_of_the_distribution() -> None:
    assert streamkit.__version__ == metadata.version("streamkit-http")


@pytest.mark.parametrize(
    ("call", "arguments", "error", "message"),
    [
        (sse, {"name": 7}, TypeError, "name must be a str, got int"),
        (sse, {"name": " "}, ValueError, "name must be printable and not blank, got ' '"),
        (sse, {"name": "a\r\nb"}, ValueError, "name must be printable"),
        (sse, {"serialize": "json"}, TypeError, "serialize must be a function of one element"),
        (export, {"name": ""}, ValueError, "name must be"),
        (export, {"format": "xml"}, ValueError, "format must be one of 'json', 'csv', 'ndjson'"),
        (export, {"columns": "ab"}, TypeError, "columns must be a sequence of names, .* got str"),
        (export, {"columns": {"a"}}, TypeError, "columns must be .* got set"),
        (export, {"columns": ["a", 1]}, TypeError, "columns must be .* a name of type int: 1"),
        (export, {"columns": {"a": None}}, TypeError, "columns must be .* of type NoneType"),
        (export, {"columns": {"a": 1}.keys()}, TypeError, r"got dict_keys: pass list\(...\) of it"),
        (export, {"columns": []}, ValueError, "columns must be .* got none"),
        (export, {"columns": ["a", "b", "a"]}, ValueError, "columns must .* got 'a' twice"),
        (export, {"columns": {"a": "X", "b": "X"}}, ValueError, "a title of their own .*'X' twice"),
        (
            export,
            {"columns": ["a"], "serialize": str},
            ValueError,
            "columns and serialize cannot go together",
        ),
        (export, {"filename": 7}, TypeError, "filename must be a str"),
        (export, {"format": None}, ValueError, "format must be one of"),
        (export, {"format": []}, ValueError, "format must be one of"),
        (download, {"source": "a.pdf"}, FileNotFoundError, "source .* 'a.pdf'"),
        (download, {"source": Path("a.pdf")}, FileNotFoundError, "source .* 'a.pdf'"),
        (
            download,
            {"source": "/"},
            IsADirectoryError,
            "source must be .* read: Is a dir",
        ),
        (download, {"source": "/dev/null"}, ValueError, "source must be .* a regular file"),
        (download, {"source": StringIO()}, TypeError, "source must be a binary file, .* text mode"),
        (download, {"source": b"abc", "size": 2}, SizeMismatch, "size must be .*, 3, got 2"),
        (download, {"source": lambda a, b: [b""]}, ValueError, "size, .*, must be given"),
        (download, {"source": lambda a: [b""], "size": 1}, TypeError, "a function of two offsets"),
        (download, {"source": opening_coroutine, "size": 1}, TypeError, "the coroutine function"),
        (download, {"etag": b"a"}, TypeError, "etag must be a str, got bytes"),
        (download, {"etag": 'a"b'}, ValueError, "etag must be of printable ASCII"),
        (download, {"etag": "a\r\nb"}, ValueError, "etag must be of printable ASCII"),
        (download, {"last_modified": "now"}, TypeError, "last_modified must be a datetime"),
        (download, {"filename": None}, TypeError, "filename"),
        (download, {"name": None}, TypeError, "name must be a str, got NoneType"),
        (download, {"size": "1"}, TypeError, "size must be a number of bytes, an int, got str"),
        (download, {"size": True}, TypeError, "size must be a number of bytes"),
        (download, {"size": -1}, ValueError, "size must be .* not negative, got -1"),
        (download, {"content_type": b"a/b"}, TypeError, "content_type must be a str, got bytes"),
        (download, {"content_type": "pdf"}, ValueError, "content_type must be a media type"),
        (download, {"content_type": "a/b\r\nX: y"}, ValueError, "content_type must be"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_by_name(
    call: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(**arguments)


def test_nothing_of_a_filename_but_its_name_reaches_the_header() -> None:
    response = download(filename="../../etc/pass\r\nwd\0")
    header = response.headers["Content-Disposition"]
    assert ".." not in header
    assert "etc" not in header
    assert header.isprintable()


@pytest.mark.parametrize("element", ["text", 7, None])
def test_a_download_of_anything_but_bytes_is_an_error_that_says_so(element: Any) -> None:
    with pytest.raises(TypeError, match=type(element).__name__):
        body(download(source=[element]))


@pytest.mark.parametrize("value", [async_generator_function(), "text", 7])
def test_inline_takes_a_sync_iterable(value: Any) -> None:
    with pytest.raises(TypeError, match="^iterable must be"):
        streamkit.inline(value)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (sse, {"events": async_generator_function()}),
        (export, {"rows": async_generator_function()}),
        (download, {"source": async_generator_function()}),
        (download, {"source": opening_async, "size": 1}),
    ],
    ids=["sse", "export", "download", "download-function"],
)
def test_async_sources_are_refused_where_threads_are_greenlets(
    call: Any, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamkit.source.under_gevent", lambda: True)
    with pytest.raises(RuntimeError, match=r"must be sync under gevent.* -k gthread"):
        call(**arguments)


@pytest.mark.parametrize(
    ("arguments", "filename"),
    [
        ({}, "orders.csv"),
        ({"name": "orders.csv"}, "orders.csv"),
        ({"name": "orders.CSV"}, "orders.CSV"),
        ({"name": "orders.json"}, "orders.json.csv"),
        ({"filename": "Report 1.2"}, "Report 1.2.csv"),
        ({"filename": "may.csv."}, "may.csv"),
        ({"filename": "a/b.csv"}, "b.csv"),
        ({"filename": ""}, "download.csv"),
        ({"filename": "x" * 300}, f"{'x' * 236}.csv"),
        ({"format": "csv-excel"}, "orders.csv"),
    ],
)
def test_an_export_is_saved_under_its_name_or_filename(
    arguments: Any, filename: str, registry: Any
) -> None:
    response = export(**{"name": "orders", "format": "csv"} | arguments)
    assert response.headers["Content-Disposition"] == f'attachment; filename="{filename}"'
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    body(response)
    stream = arguments.get("name", "orders")
    labels = {"kind": "export", "stream": stream, "tenant": "system", "outcome": "completed"}
    assert registry.get_sample_value("stream_closed_total", labels) == 1


def test_columns_of_an_export_are_chosen() -> None:
    rows = [{"id": 1, "secret": "x", "name": "Ada"}]
    assert body(export(rows=rows, format="csv", columns=["name", "id"])) == b"name,id\r\nAda,1\r\n"
    titled = export(rows=rows, format="ndjson", columns={"name": "Name"})
    assert body(titled) == b'{"Name":"Ada"}\n'


def test_a_column_that_a_source_does_not_know_is_refused_at_the_call() -> None:
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        cursor = connection.execute("SELECT 1 AS a")
        with pytest.raises(ValueError, match="columns must be among those of rows, got 'b': 'a'"):
            export(rows=cursor, format="csv", columns=["b"])
        swapped = "got 'A': 'a': columns maps names to titles, not titles to names"
        with pytest.raises(ValueError, match=swapped):
            export(rows=cursor, format="csv", columns={"A": "a"})
