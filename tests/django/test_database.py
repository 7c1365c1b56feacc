"""The Django adapter and the ORM: querysets as rows, connections, and Django's test cases."""

import csv
import json
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import psutil
import psycopg
import pytest
from combinations import wait_until
from django.db import connections, transaction
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.models import Count, F, QuerySet
from django.db.models.functions import Upper
from django.db.models.query import RawQuerySet
from django.db.models.signals import post_save
from django.test import AsyncClient, Client, TestCase, TransactionTestCase
from django_site.clients import ASGIClient, WSGIClient
from django_site.models import Customer, Order, RushOrder
from django_site.urls import site

from streamkit import Channel, ServerSentEvent, lossless
from streamkit_adapters.django import StreamingService
from streamkit_adapters.django.querysets import table_of

STREAMKIT = "streamkit_adapters.django.StreamkitMiddleware"
SYNC_ONLY = "django_site.middleware.sync_only"
pytestmark = pytest.mark.usefixtures("databases")

HANDLERS = pytest.mark.parametrize("client_class", [WSGIClient, ASGIClient])


class Orders:
    """What a view streams of the database ``alias``."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def queryset(self) -> "QuerySet[Order]":
        return Order.objects.using(self.alias).order_by("pk")

    def rows(self) -> Any:
        return self.queryset().values_list("id", "customer__name")

    def sync(self) -> Iterator[dict[str, Any]]:
        for order in self.queryset():
            yield {"id": order.pk, "customer": order.customer.name}

    async def asynchronous(self) -> AsyncIterator[dict[str, Any]]:
        async for order in self.queryset().select_related("customer"):
            yield {"id": order.pk, "customer": order.customer.name}


def text(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


ALL = text(
    "id,customer_id,status,total,placed,details",
    '1,1,open,9.90,2026-01-01T12:00:00Z,"{""gift"":true}"',
    "2,2,paid,120.00,2026-01-02T12:00:00Z,{}",
    "3,1,open,0.05,2026-01-03T12:00:00Z,{}",
)

ROWS: dict[str, tuple[Callable[[Any], Any], bytes]] = {
    "models": (lambda orders: orders, ALL),
    "values": (lambda orders: orders.values(), ALL),
    "values-of": (
        lambda orders: orders.values("status", "customer__name")[:2],
        text("status,customer__name", "open,Ada", "paid,Bob"),
    ),
    "values-of-expression": (
        lambda orders: orders.values("id", shout=Upper("status"))[:1],
        text("id,shout", "1,OPEN"),
    ),
    "values_list": (
        lambda orders: orders.values_list("status", "id"),
        text("status,id", "open,1", "paid,2", "open,3"),
    ),
    "all-values_list": (lambda orders: orders.values_list(), ALL),
    "flat": (
        lambda orders: orders.values_list("total", flat=True),
        text("total", "9.90", "120.00", "0.05"),
    ),
    "flat-expression": (
        lambda orders: orders.values_list(Upper("status"), flat=True)[:1],
        text("upper1", "OPEN"),
    ),
    "named": (
        lambda orders: orders.values_list("id", "customer__name", named=True)[:1],
        text("id,customer__name", "1,Ada"),
    ),
    "only": (lambda orders: orders.only("status")[:1], text("id,status", "1,open")),
    "only-a-key": (
        lambda orders: orders.only("customer", "total")[:1],
        text("id,customer_id,total", "1,1,9.90"),
    ),
    "only-of-related": (
        lambda orders: orders.select_related("customer").only("status", "customer__name")[:1],
        text("id,status", "1,open"),
    ),
    "defer": (
        lambda orders: orders.defer("details", "placed", "customer_id")[:1],
        text("id,status,total", "1,open,9.90"),
    ),
    "annotated": (
        lambda orders: orders.annotate(who=F("customer__name")).only("status")[:1],
        text("id,status,who", "1,open,Ada"),
    ),
    "grouped": (
        lambda orders: orders.order_by("status").values("status").annotate(count=Count("id")),
        text("status,count", "open,2", "paid,1"),
    ),
    "extra": (
        lambda orders: orders.extra(select={"next": "django_site_order.id + 1"}).only("id")[:1],
        text("id,next", "1,2"),
    ),
    "prefetched": (
        lambda orders: orders.prefetch_related("customer").only("status")[:1],
        text("id,status", "1,open"),
    ),
    "union": (
        lambda orders: (
            orders.order_by().filter(pk=1).union(orders.order_by().filter(pk=3)).order_by("-id")
        ),
        b"".join(ALL.splitlines(keepends=True)[line] for line in (0, 3, 1)),
    ),
    "dates": (
        lambda orders: orders.dates("placed", "year"),
        text("datefield", "2026-01-01"),
    ),
    "none": (lambda orders: orders.none(), ALL[: ALL.index(b"1,1")]),
    "no-match": (lambda orders: orders.filter(pk=9).values("id"), text("id")),
    "raw": (
        lambda orders: orders.model.objects.using(orders.db).raw(
            "SELECT id, status FROM django_site_order ORDER BY id"
        ),
        text("id,status", "1,open", "2,paid", "3,open"),
    ),
    "instances": (lambda orders: (order for order in orders.iterator()), ALL),
    "deferred-instances": (
        lambda orders: (order for order in orders.only("status")[:1].iterator()),
        text("id,status", "1,open"),
    ),
}


@HANDLERS
@pytest.mark.parametrize(("rows", "expected"), ROWS.values(), ids=ROWS)
class TestRows:
    @pytest.fixture(autouse=True)
    def _nothing_is_fetched_whole(self, alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(QuerySet, "_fetch_all")
        monkeypatch.delattr(RawQuerySet, "_fetch_all")

    def test_csv_has_the_names_of_the_columns(
        self, client_class: Any, alias: str, rows: Any, expected: bytes
    ) -> None:
        orders = Orders(alias).queryset()
        with site(lambda _: StreamingService.export("orders", rows(orders), "csv"), STREAMKIT):
            client = client_class()
            assert client.rest() == expected
            assert client.status == 200

    def test_json_and_ndjson_have_the_names_of_the_columns(
        self, client_class: Any, alias: str, rows: Any, expected: bytes
    ) -> None:
        orders = Orders(alias).queryset()
        with site(lambda _: StreamingService.export("orders", rows(orders), "json")):
            objects = json.loads(client_class().rest())
        with site(lambda _: StreamingService.export("orders", rows(orders), "ndjson")):
            assert [json.loads(line) for line in client_class().rest().splitlines()] == objects
        header, *lines = csv.reader(expected.decode().splitlines())
        assert [list(row) for row in objects] == [header] * len(lines)


CHOSEN: dict[str, tuple[Callable[[Any], Any], Any, bytes]] = {
    "of-a-model": (lambda orders: orders[:1], ["status", "id"], text("status,id", "open,1")),
    "of-a-related-one": (
        lambda orders: orders[:1],
        {"customer__name": "Customer", "customer": "Key", "details__gift": "Gift"},
        text("Customer,Key,Gift", "Ada,1,true"),
    ),
    "annotated": (
        lambda orders: orders.annotate(who=F("customer__name"))[:1],
        {"who": "Who"},
        text("Who", "Ada"),
    ),
    "of-values": (
        lambda orders: orders.values("id", "status")[:1],
        ["status"],
        text("status", "open"),
    ),
    "instances": (
        lambda orders: (order for order in orders[:1].iterator()),
        {"customer_id": "Key"},
        text("Key", "1"),
    ),
    "no-match": (lambda orders: orders.filter(pk=9), {"id": "Id"}, text("Id")),
}


@HANDLERS
@pytest.mark.parametrize(("rows", "columns", "expected"), CHOSEN.values(), ids=CHOSEN)
def test_columns_are_chosen(
    client_class: Any, alias: str, rows: Any, columns: Any, expected: bytes
) -> None:
    orders = Orders(alias).queryset()
    with site(lambda _: StreamingService.export("o", rows(orders), "csv", columns=columns)):
        assert client_class().rest() == expected


def test_no_more_is_fetched_than_was_chosen(alias: str) -> None:
    orders = Orders(alias).queryset()
    with pytest.raises(ValueError, match="^columns must be fields of the queryset: .*'nothing'"):
        StreamingService.export("o", orders, "csv", columns=["nothing"])
    with pytest.raises(ValueError, match="^columns must be among those of rows, got 'total'"):
        StreamingService.export("o", orders.values("id"), "csv", columns=["total"])
    table, _ = table_of(orders, ["status"])
    assert '"total"' not in str(table.query)


@HANDLERS
def test_a_model_in_two_tables_is_one_row(client_class: Any, alias: str) -> None:
    order = Orders(alias).queryset()[0]
    RushOrder(
        order_ptr=order,
        hours=2,
        **{
            field: getattr(order, field)
            for field in ("customer_id", "status", "total", "placed", "details")
        },
    ).save(using=alias)
    rows = RushOrder.objects.using(alias).defer("placed", "details")
    with site(lambda _: StreamingService.export("rush", rows, "csv")):
        assert client_class().rest() == text(
            "id,customer_id,status,total,order_ptr_id,hours", "1,1,open,9.90,1,2"
        )


@HANDLERS
def test_serialize_is_passed_instances(client_class: Any, alias: str) -> None:
    orders = Orders(alias).queryset().select_related("customer").prefetch_related("customer")

    def serialize(order: Order) -> str:
        return f"{order.pk}: {order.customer.name}"

    with site(lambda _: StreamingService.export("orders", orders, "csv", serialize)):
        assert client_class().rest() == b"1: Ada\n2: Bob\n3: Ada\n"


def add_orders(alias: str, count: int) -> None:
    Order.objects.using(alias).bulk_create(
        Order(pk=pk, customer_id=1, total=1, placed=datetime(2026, 1, 1, tzinfo=UTC))
        for pk in range(10, 10 + count)
    )


@HANDLERS
def test_a_queryset_is_fetched_some_rows_at_a_time(
    client_class: Any, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_orders(alias, 4997)
    fetched: list[int] = []

    def counted(fetchmany: Any) -> Any:
        def count(cursor: Any, size: int) -> Any:
            rows = fetchmany(cursor, size)
            fetched.append(len(rows))
            return rows

        return count

    monkeypatch.setattr(SQLiteCursorWrapper, "fetchmany", counted(sqlite3.Cursor.fetchmany), False)
    # The server's cursor: any other has it all at once, whatever it is asked for.
    monkeypatch.setattr(psycopg.ServerCursor, "fetchmany", counted(psycopg.ServerCursor.fetchmany))
    orders = Orders(alias).queryset()
    with site(lambda _: StreamingService.export("orders", orders, "csv"), STREAMKIT):
        client = client_class()
        client.until(lambda body: body.count(b"\r\n") > 1)
        assert fetched == [2000]
        assert client.rest().count(b"\r\n") == 5001
    assert [size for size in fetched if size] == [2000, 2000, 1000]


@pytest.mark.parametrize("alias", ["postgresql"], indirect=True)
def test_a_cursor_that_is_not_read_to_its_end_is_not_closed_on_the_loop(
    alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_orders(alias, 2500)
    threads: list[threading.Thread] = []
    close = psycopg.ServerCursor.close

    def noted(cursor: Any) -> None:
        threads.append(threading.current_thread())
        close(cursor)

    monkeypatch.setattr(psycopg.ServerCursor, "close", noted)
    orders = Orders(alias).queryset()
    with site(lambda _: StreamingService.export("orders", orders, "csv"), STREAMKIT):
        client = ASGIClient()
        client.until(lambda body: body.count(b"\r\n") > 1)
        client.leave()
    assert len(threads) == 1
    assert threads != [threading.current_thread()]


def open_connections(alias: str) -> int:
    """How many there are but those of this thread."""
    connections.close_all()
    if alias == "default":
        path = str(connections.settings[alias]["NAME"])
        return sum(file.path == path for file in psutil.Process().open_files())
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        (count,) = cursor.fetchone()
    return int(count)


@HANDLERS
@pytest.mark.parametrize("source", [Orders.queryset, Orders.sync, Orders.asynchronous])
class TestConnections:
    def test_no_connection_is_left_by_a_hundred_exports(
        self, client_class: Any, alias: str, source: Callable[[Orders], Any]
    ) -> None:
        with site(
            lambda _: StreamingService.export("orders", source(Orders(alias)), "csv"),
            STREAMKIT,
            SYNC_ONLY,
        ):
            for _ in range(100):
                assert client_class().rest().startswith(b"id,customer")
        wait_until(lambda: open_connections(alias) == 0)

    @pytest.mark.parametrize("asynchronous", [False, True], ids=["sync-view", "async-view"])
    def test_no_connection_is_left_by_a_client_that_left(
        self, client_class: Any, alias: str, source: Callable[[Orders], Any], asynchronous: bool
    ) -> None:
        add_orders(alias, 600)
        with site(
            lambda _: StreamingService.export("orders", source(Orders(alias)), "csv"),
            asynchronous=asynchronous,
        ):
            for _ in range(3):
                client = client_class()
                client.until(lambda body: body.count(b"\r\n") > 1)
                client.leave()
        wait_until(lambda: open_connections(alias) == 0)


READABLE = "the data of a TestCase is in a transaction on the connection of the test"


class InACase:
    """Tests of a view that streams what the test has just written."""

    databases: set[str] | Literal["__all__"] = "__all__"
    alias: str

    def setUp(self) -> None:
        customer = Customer.objects.using(self.alias).create(name="Ada")
        placed = datetime(2026, 1, 1, tzinfo=UTC)
        order = Order(customer=customer, total=1, placed=placed)
        order.save(using=self.alias)
        self.row = f"{order.pk},Ada"

    def tearDown(self) -> None:
        assert Order.objects.using(self.alias).count() == 1

    def views(self, source: Callable[[Orders], Any]) -> Iterator[None]:
        """Its settings, behind different middleware, sync and async."""
        for middleware in ([], [STREAMKIT], [STREAMKIT, SYNC_ONLY], [SYNC_ONLY, STREAMKIT]):
            for asynchronous in (False, True):
                with site(
                    lambda _: StreamingService.export("orders", source(Orders(self.alias)), "csv"),
                    *middleware,
                    asynchronous=asynchronous,
                ):
                    yield

    def get(self) -> bytes:
        return b"".join(Client().get("/"))

    async def aget(self) -> bytes:
        response: Any = await AsyncClient().get("/")
        return b"".join([chunk async for chunk in response])

    def test_the_client_reads_a_queryset(self) -> None:
        for _ in self.views(Orders.rows):
            assert self.get() == text("id,customer__name", self.row)

    def test_the_client_reads_a_sync_source(self) -> None:
        for _ in self.views(Orders.sync):
            assert self.get() == text("id,customer", self.row)

    async def test_the_async_client_reads_a_queryset(self) -> None:
        for _ in self.views(Orders.rows):
            assert await self.aget() == text("id,customer__name", self.row)

    async def test_the_async_client_reads_an_async_source(self) -> None:
        for _ in self.views(Orders.asynchronous):
            assert await self.aget() == text("id,customer", self.row)

    def test_the_client_reads_the_head_alone(self) -> None:
        for _ in self.views(Orders.sync):
            assert b"".join(Client().head("/")) == b""

    async def test_the_async_client_reads_rows_that_need_no_database(self) -> None:
        for _ in self.views(lambda orders: [{"id": 1}]):
            assert await self.aget() == text("id", "1")


class InATransaction(InACase):
    """Where a source is on another thread than the test, it is refused the database."""

    def test_the_client_and_an_async_source_on_another_thread(self) -> None:
        for _ in self.views(Orders.asynchronous):
            with pytest.raises(RuntimeError, match=READABLE):
                self.get()

    async def test_the_async_client_and_a_sync_source_on_another_thread(self) -> None:
        for _ in self.views(Orders.sync):
            with pytest.raises(RuntimeError, match=READABLE):
                await self.aget()


class InNoTransaction(InACase):
    def test_the_client_and_an_async_source_on_another_thread(self) -> None:
        for _ in self.views(Orders.asynchronous):
            assert self.get() == text("id,customer", self.row)

    async def test_the_async_client_and_a_sync_source_on_another_thread(self) -> None:
        for _ in self.views(Orders.sync):
            assert await self.aget() == text("id,customer", self.row)


class TestCaseOnSQLite(InATransaction, TestCase):
    alias = "default"


class TestCaseOnPostgreSQL(InATransaction, TestCase):
    alias = "postgresql"


class TestTransactionCaseOnSQLite(InNoTransaction, TransactionTestCase):
    alias = "default"


class TestTransactionCaseOnPostgreSQL(InNoTransaction, TransactionTestCase):
    alias = "postgresql"


def test_what_models_and_signals_publish_comes_after_the_commit() -> None:
    """As docs/channels.md has it."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "channels.md").read_text()
    orders = Channel(f"orders-{uuid4()}")
    names: dict[str, Any] = {"orders": orders, "ServerSentEvent": ServerSentEvent}
    for block in re.findall(r"```python\n(from django.db.*?)```", page, re.S):
        exec(compile(block, "docs/channels.md", "exec"), names)
    names["connect"](Customer)
    published = iter(orders)
    try:
        with transaction.atomic():
            customer = Customer(name="Ada")
            names["save"](customer)
            before = orders.last_event_id()
        assert before.endswith("-0")
        names["save"](customer)
        told = [(event.event, event.data) for event in islice(published, 4)]
        data = {"id": customer.pk}
    finally:
        post_save.disconnect(sender=Customer, dispatch_uid="tell")
        customer.delete()
    assert told == [("created", data), (None, data), ("changed", data), (None, data)]


def test_a_queryset_may_be_lossless(alias: str) -> None:
    orders = Orders(alias).queryset().values("id")
    with site(lambda request: StreamingService.sse("s", lossless(orders)), STREAMKIT):
        client = WSGIClient()
        body = client.rest()
    # On a machine that is busy enough there is one.
    events = body.replace(b": heartbeat\n\n", b"")
    assert events == b'data: {"id":1}\n\ndata: {"id":2}\n\ndata: {"id":3}\n\n'
