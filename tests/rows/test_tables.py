"""Sources that know their columns, so that an export without rows has its header all the same."""

import sqlite3
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from combinations import LoopReader, ThreadReader, wait_until
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, load_only, mapped_column

from streamkit import StreamingService, inline

QUERY = "SELECT column1 AS a, column2 AS \"count(*)\" FROM (VALUES (1, 'x'), (2, 'y'))"

READERS = pytest.mark.parametrize("reader_class", [ThreadReader, LoopReader])


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    yield connection
    connection.close()


class Cursor:
    """As little as a cursor of PEP 249 must have: it need not be iterable."""

    def __init__(self, rows: list[Any], *columns: str) -> None:
        self.description = [(name, None, None, None, None, None, None) for name in columns] or None
        self._rows = rows
        self.closes = 0
        self.threads = {threading.current_thread()}

    def fetchmany(self, size: int = 1) -> list[Any]:
        self.threads.add(threading.current_thread())
        assert not self.closes
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def close(self) -> None:
        self.threads.add(threading.current_thread())
        self.closes += 1


class IterableCursor(Cursor):
    def __iter__(self) -> Iterator[Any]:
        while rows := self.fetchmany():
            yield from rows


class AsyncCursor(Cursor):
    async def __aiter__(self) -> AsyncIterator[Any]:
        while rows := self.fetchmany():
            for row in rows:
                yield row

    async def close(self) -> None:  # type: ignore[override]
        super().close()


CURSORS = pytest.mark.parametrize("cursor_class", [Cursor, IterableCursor, AsyncCursor])


@READERS
@CURSORS
@pytest.mark.parametrize("count", [0, 2, 3000])
def test_a_cursor_is_read_by_its_columns_and_closed(
    cursor_class: type[Cursor], count: int, reader_class: Any
) -> None:
    cursor = cursor_class([(n, f"row {n}") for n in range(count)], "n", "count(*)")
    reader = reader_class()
    body = reader.open(StreamingService.export("e", cursor, "csv")).rest()  # type: ignore[arg-type]
    assert body == b"n,count(*)\r\n" + b"".join(b"%d,row %d\r\n" % (n, n) for n in range(count))
    assert cursor.closes == 1
    reader.stop()


@READERS
@CURSORS
def test_a_cursor_whose_stream_never_starts_is_closed_as_well(
    cursor_class: type[Cursor], reader_class: Any
) -> None:
    cursor = cursor_class([(1,)], "n")
    reader = reader_class()
    reader.drop(StreamingService.export("e", cursor, "csv"))  # type: ignore[arg-type]
    wait_until(lambda: cursor.closes == 1)
    reader.stop()


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_a_named_cursor_of_psycopg2_has_its_columns_though_it_knows_them_late(count: int) -> None:
    class NamedCursor(IterableCursor):
        __module__ = "psycopg2.extensions"
        name = "orders"

        def fetchmany(self, size: int = 1) -> list[Any]:
            self.description = Cursor([], "n", "customer").description
            return super().fetchmany(size)

    cursor = NamedCursor([(n, f"row {n}") for n in range(count)])
    body = b"".join(StreamingService.export("e", cursor, "csv"))
    assert body == b"n,customer\r\n" + b"".join(b"%d,row %d\r\n" % (n, n) for n in range(count))
    assert cursor.closes == 1


def test_an_inline_cursor_stays_on_its_thread() -> None:
    cursor = IterableCursor([], "n")
    assert b"".join(StreamingService.export("e", inline(cursor), "csv")) == b"n\r\n"
    assert cursor.threads == {threading.current_thread()}


def sqlalchemy_result(query: str) -> Iterator[Any]:
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False})
    with engine.connect() as connection:
        yield connection.execute(text(query))
    engine.dispose()


def sqlalchemy_mappings(query: str) -> Iterator[Any]:
    for result in sqlalchemy_result(query):
        yield result.mappings()


def sqlite_cursor(query: str, row_factory: Any = None) -> Iterator[Any]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.row_factory = row_factory
    yield connection.execute(query)
    connection.close()


def sqlite_named_rows(query: str) -> Iterator[Any]:
    return sqlite_cursor(query, sqlite3.Row)


def sqlite_dicts(query: str) -> Iterator[Any]:
    def as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
        return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}

    return sqlite_cursor(query, as_dict)


Open = Callable[[str], Iterator[Any]]

SOURCES = [
    sqlite_cursor,
    sqlite_named_rows,
    sqlite_dicts,
    sqlalchemy_result,
    sqlalchemy_mappings,
]


def export(source: Open, query: str, format: Any) -> bytes:
    for rows in source(query):
        body = b"".join(StreamingService.export("e", rows, format))
    return body


@pytest.mark.parametrize("source", SOURCES)
def test_the_result_of_a_query_has_its_columns(source: Open) -> None:
    assert export(source, QUERY, "csv") == b"a,count(*)\r\n1,x\r\n2,y\r\n"
    assert export(source, QUERY, "ndjson") == (b'{"a":1,"count(*)":"x"}\n{"a":2,"count(*)":"y"}\n')


@pytest.mark.parametrize("source", SOURCES)
def test_the_result_of_a_query_without_rows_has_its_columns(source: Open) -> None:
    nothing = f"{QUERY} WHERE 1 = 0"
    assert export(source, nothing, "csv") == b"a,count(*)\r\n"
    assert export(source, nothing, "json") == b"[\n]\n"
    assert export(source, nothing, "ndjson") == b""


def test_columns_of_the_same_name_are_all_in_csv(connection: sqlite3.Connection) -> None:
    cursor = connection.execute("SELECT 1 AS id, 2 AS n, 3 AS id")
    assert b"".join(StreamingService.export("e", cursor, "csv")) == b"id,n,id\r\n1,2,3\r\n"


TWICE = [
    lambda: Cursor([(1, 2, 3)], "id", "n", "id"),
    lambda: iter([sqlalchemy_row()]),
]


def sqlalchemy_row() -> Any:
    [row] = [result.one() for result in sqlalchemy_result("SELECT 1 AS id, 2 AS n, 3 AS id")]
    return row


@pytest.mark.parametrize("make", TWICE)
def test_columns_of_the_same_name_are_refused_where_one_of_them_would_be_lost(
    make: Callable[[], Any],
) -> None:
    formats: list[Any] = ["json", "ndjson"]
    for format in formats:
        with pytest.raises(ValueError, match=r"several columns that are called 'id'.*rename them"):
            b"".join(StreamingService.export("e", make(), format))
    for format in (*formats, "csv", "xlsx"):
        with pytest.raises(ValueError, match=r"rows have several that are called 'id'"):
            b"".join(StreamingService.export("e", make(), format, columns=["id"]))
        assert b"".join(StreamingService.export("e", make(), format, columns=["n"]))
    assert b"".join(StreamingService.export("e", make(), "csv")) == b"id,n,id\r\n1,2,3\r\n"


def test_serialize_is_given_the_rows(connection: sqlite3.Connection) -> None:
    export = StreamingService.export("e", connection.execute(QUERY), "csv", lambda row: row[1])
    assert b"".join(export) == b"x\ny\n"


def test_a_cursor_of_another_thread_fails_with_what_sqlite_says_of_it_and_what_to_do() -> None:
    """Which ``inline`` keeps from happening."""
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.ProgrammingError, match="can only be used in that same thread") as e:
        b"".join(StreamingService.export("e", connection.execute(QUERY), "csv"))
    assert "pass streamkit.inline(cursor)" in "".join(traceback.format_exception(e.value))
    export = StreamingService.export("e", inline(connection.execute(QUERY)), "csv")
    assert b"".join(export) == b"a,count(*)\r\n1,x\r\n2,y\r\n"
    connection.close()


def test_a_cursor_that_has_no_result_is_an_empty_export(connection: sqlite3.Connection) -> None:
    cursor = connection.execute("CREATE TABLE t (a)")
    assert b"".join(StreamingService.export("e", cursor, "csv")) == b""


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str]


ORDERS = "id,note\r\n1,x\r\n2,y\r\n"

ENTITIES: list[tuple[Any, str]] = [
    (select(Order), ORDERS),
    (select(Order).options(load_only(Order.id)), "id\r\n1\r\n2\r\n"),
    (select(Order.note), "note\r\nx\r\ny\r\n"),
    # Of several things in a row each has a column.
    (
        select(Order, Order.note.label("n")),
        'Order,n\r\n"{""id"":1,""note"":""x""}",x\r\n"{""id"":2,""note"":""y""}",y\r\n',
    ),
]


@pytest.mark.parametrize(("query", "body"), ENTITIES)
def test_an_entity_is_exported_by_its_columns(query: Any, body: str) -> None:
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Order(id=1, note="x"), Order(id=2, note="y")])
        session.commit()
        result = session.execute(query)
        assert b"".join(StreamingService.export("e", result, "csv")).decode() == body
        assert result.closed
        result = session.execute(select(Order))
        rows = b"".join(StreamingService.export("e", result.scalars(), "csv"))
        assert rows.decode() == ORDERS
    engine.dispose()


def test_a_mapping_of_columns_is_refused_with_what_to_pass() -> None:
    columns = {"a": [1, 2], "b": ["x", "y"]}
    with pytest.raises(TypeError, match=r"^rows must .* one mapping: .*zip\(\*d.values\(\)\)"):
        StreamingService.export("e", columns, "csv")
