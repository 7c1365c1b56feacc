"""What becomes of a view's own database connections while its response is streamed."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from combinations import WAIT, wait_until
from django.db import connections
from django_site.clients import ASGIClient, WSGIClient
from django_site.middleware import query
from django_site.models import Customer, Order
from django_site.urls import site

import streamkit
from streamkit_adapters.django import StreamingService

STREAMKIT = "streamkit_adapters.django.StreamkitMiddleware"
QUERYING = "django_site.middleware.querying"
ATOMIC = "django_site.middleware.atomic"

pytestmark = pytest.mark.usefixtures("databases")

HANDLERS = pytest.mark.parametrize("client_class", [WSGIClient, ASGIClient])


@pytest.fixture(autouse=True)
def _no_connections() -> Iterator[None]:
    yield
    connections.close_all()


def ticks() -> Iterator[str]:
    for n in count():
        yield f"{n}"
        threading.Event().wait(0.01)


async def async_ticks() -> AsyncIterator[str]:
    for n in count():
        yield f"{n}"
        await asyncio.sleep(0.01)


class View:
    """Asks the database, and answers with ``response``."""

    def __init__(self, alias: str, response: Any) -> None:
        self.alias = alias
        self.response = response
        self.connection: Any = None

    def __call__(self, request: Any) -> Any:
        self.connection = connections[self.alias]
        query(self.alias)
        return self.response()

    @property
    def holds(self) -> bool:
        """Whether its connection is open."""
        return self.connection.connection is not None


@HANDLERS
@pytest.mark.parametrize("source", [ticks, async_ticks])
@pytest.mark.parametrize(
    "middleware",
    [(), (STREAMKIT,), (QUERYING, STREAMKIT), (STREAMKIT, QUERYING)],
    ids=["none", "ours", "further-in", "further-out"],
)
@pytest.mark.parametrize("max_age", [0, None])
def test_a_stream_does_not_hold_those_of_its_view(
    client_class: Any,
    alias: str,
    source: Any,
    middleware: tuple[str, ...],
    max_age: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor what middleware, further out or in, has opened anew."""
    monkeypatch.setitem(connections.settings[alias], "CONN_MAX_AGE", max_age)
    view = View(alias, lambda: StreamingService.sse("ticks", source()))
    with site(view, *middleware):
        client = client_class()
        client.until(lambda body: body.count(b"data:") > 1)
        assert view.connection is not None
        # Under ASGI nothing waits for it.
        wait_until(lambda: not view.holds)
        client.leave()


@HANDLERS
def test_an_open_transaction_goes_on(client_class: Any, alias: str) -> None:
    """It is its owner's, and committed when the response has passed."""

    def write() -> Any:
        Customer.objects.using(alias).create(pk=7, name="Cleo")
        return StreamingService.export("rows", [{"n": 1}], "csv")

    view = View(alias, write)
    with site(view, ATOMIC, STREAMKIT):
        assert client_class().rest() == b"n\r\n1\r\n"
    assert Customer.objects.using(alias).get(pk=7).name == "Cleo"


@HANDLERS
def test_with_atomic_requests_a_source_reads_what_its_view_has_committed(
    client_class: Any, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own connection is in no transaction, and what it raises rolls nothing back."""
    monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", True)
    monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)

    def rows() -> Iterator[dict[str, Any]]:
        assert not connections[alias].in_atomic_block
        yield {"name": Customer.objects.using(alias).get(pk=7).name}
        raise RuntimeError("the source failed")

    def write() -> Any:
        assert connections[alias].in_atomic_block
        Customer.objects.using(alias).create(pk=7, name="Cleo")
        return StreamingService.export("rows", rows(), "csv")

    view = View(alias, write)
    with site(view, STREAMKIT):
        client = client_class()
        client.until(lambda body: b"Cleo" in body)
        wait_until(lambda: not view.holds)
        with pytest.raises(RuntimeError, match="the source failed"):
            client.rest()
    assert Customer.objects.using(alias).filter(pk=7).exists()


def plain(cursor: Any) -> Any:
    return cursor


def fetched_by_expression(cursor: Any) -> Any:
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)


def fetched_by_function(cursor: Any) -> Any:
    def rows() -> Iterator[Any]:
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))

    return rows()


def of_the_driver(cursor: Any) -> Any:
    return cursor.cursor


@HANDLERS
@pytest.mark.parametrize("rows", [plain, fetched_by_expression, fetched_by_function, of_the_driver])
def test_a_cursor_of_the_view_keeps_its_connection(
    client_class: Any, alias: str, rows: Any
) -> None:
    def export() -> Any:
        cursor = connections[alias].cursor()
        cursor.execute("SELECT id, name FROM django_site_customer ORDER BY id")
        return StreamingService.export("customers", rows(cursor), "csv")

    view = View(alias, export)
    with site(view, STREAMKIT):
        assert client_class().rest() == b"id,name\r\n1,Ada\r\n2,Bob\r\n"


def test_under_asgi_an_event_does_not_wait_for_what_the_view_has_begun() -> None:
    """On the thread that its sync parts have."""
    seen = threading.Event()

    async def ticks() -> AsyncIterator[str]:
        yield "one"

    def view(request: Any) -> Any:
        running = asyncio.get_running_loop()
        job = running.create_task(sync_to_async(seen.wait)(WAIT))
        stream = StreamingService.sse("ticks", ticks())
        jobs.append(job)
        return stream

    jobs: list[asyncio.Task[bool]] = []
    with site(view, STREAMKIT, asynchronous=True):
        client = ASGIClient()
        client.until(lambda body: b"data: one" in body)
        seen.set()
        client.run(lambda: wait_until(lambda: all(job.done() for job in jobs)))
        client.rest()
    assert jobs[0].result()


@pytest.mark.parametrize("max_age", [0, None])
def test_an_answer_to_head_closes_nothing(
    alias: str, max_age: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings[alias], "CONN_MAX_AGE", max_age)
    view = View(alias, lambda: StreamingService.export("rows", [{"n": 1}], "csv"))
    with site(view, STREAMKIT):
        client = WSGIClient("HEAD")
        assert view.holds
        assert client.rest() == b""


def test_an_inline_source_keeps_them(alias: str) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT name FROM django_site_customer ORDER BY id")
            for (name,) in iter(cursor.fetchone, None):
                yield {"name": name, "held": view.holds}

    view = View(alias, lambda: StreamingService.export("rows", streamkit.inline(rows()), "ndjson"))
    with site(view, STREAMKIT):
        client = WSGIClient()
        assert client.rest().count(b'"held":true') == 2


@HANDLERS
@pytest.mark.parametrize("max_age", [0, None])
def test_a_file_leaves_those_that_are_kept_between_requests(
    client_class: Any,
    alias: str,
    max_age: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it takes no other, which would cost as much as the connection saves."""
    monkeypatch.setitem(connections.settings[alias], "CONN_MAX_AGE", max_age)
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    view = View(alias, lambda: StreamingService.download(path, filename="file"))
    with site(view, STREAMKIT):
        client = client_class()
        client.until(bool)
        wait_until(lambda: view.holds == (max_age is None))
        client.leave()
    # Django leaves that of a thread of the ASGI handler to the garbage collector.
    view.connection.inc_thread_sharing()
    view.connection.close()


PLACES = 4


@pytest.fixture
def pool() -> Iterator[None]:
    """Django's own, of ``PLACES`` connections to PostgreSQL."""
    options = connections.settings["postgresql"].setdefault("OPTIONS", {})
    connections["postgresql"].close()
    options["pool"] = {"min_size": 1, "max_size": PLACES, "timeout": WAIT / 2}
    yield
    connections["postgresql"].close()
    pooled: Any = connections["postgresql"]
    pooled.close_pool()
    del options["pool"]


@pytest.mark.usefixtures("pool")
@HANDLERS
@pytest.mark.parametrize("alias", ["postgresql"], indirect=True)
@pytest.mark.parametrize("middleware", [(STREAMKIT,), (STREAMKIT, QUERYING)], ids=["ours", "first"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync-source", "async-source"])
def test_as_many_exports_at_once_as_a_pool_has_connections(
    client_class: Any, alias: str, middleware: tuple[str, ...], asynchronous: bool
) -> None:
    """All are there before the first of their sources wants one of its own."""
    together = threading.Barrier(PLACES)
    # That of this thread, which has made the customers, is one of the pool's.
    connections.close_all()

    def export() -> Any:
        together.wait(WAIT)
        names = Customer.objects.using(alias).order_by("pk").values("name")
        rows = names if asynchronous else (row for row in names.iterator())
        return StreamingService.export("customers", rows, "csv")

    with (
        site(View(alias, export), *middleware),
        ThreadPoolExecutor(PLACES) as threads,
    ):
        bodies = [threads.submit(lambda: client_class().rest()) for _ in range(2 * PLACES)]
        assert {body.result() for body in bodies} == {b"name\r\nAda\r\nBob\r\n"}


@HANDLERS
def test_the_example_of_the_page_on_django(client_class: Any, alias: str) -> None:
    """docs/django.md: rows that are read in one transaction."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "django.md").read_text()
    (example,) = re.findall(r"(?<!-->\n)```python\n(.*?)```", page, re.S)
    orders = Order.objects.using(alias).order_by("pk")
    names: dict[str, Any] = {"__name__": __name__, "Order": SimpleNamespace(objects=orders)}
    exec(example, names)
    with site(names["orders"], STREAMKIT):
        assert client_class().rest() == b"id,status\r\n1,open\r\n2,paid\r\n3,open\r\n"
