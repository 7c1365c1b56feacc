"""Frames, Arrow tables and the results of other libraries as they are: rows and columns."""

import asyncio
import json
import re
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiosqlite
import duckdb
import numpy
import pandas
import polars
import pyarrow
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.datastructures import Headers

from streamkit import StreamingService, escape_formulas, inline
from streamkit.request import Request
from streamkit.stream.chunks import Chunks

COUNT = 2500
"""More rows than are read at a time."""

NUMBERS = [*range(COUNT)]
NAMES = [None if n % 2 else f"row {n}" for n in NUMBERS]
COLUMNS = {"n": NUMBERS, "count(*)": NAMES}


def table(count: int) -> pyarrow.Table:
    return pyarrow.table(COLUMNS)[:count]


def relation(count: int) -> Any:
    # It is found by its name.
    rows = table(count)
    made = duckdb.sql("SELECT * FROM rows")
    assert rows.num_rows == count
    return made


def batch(count: int) -> pyarrow.RecordBatch:
    made: pyarrow.RecordBatch = pyarrow.RecordBatch.from_pydict(COLUMNS)[:count]
    return made


def reader(count: int) -> pyarrow.RecordBatchReader:
    batches = table(count).to_batches(max_chunksize=700)
    return pyarrow.RecordBatchReader.from_batches(table(0).schema, batches)


def pandas_frame(count: int) -> pandas.DataFrame:
    return pandas.DataFrame(COLUMNS)[:count]


def polars_frame(count: int) -> polars.DataFrame:
    return polars.DataFrame(COLUMNS)[:count]


def duckdb_connection(count: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.register("rows", table(count))
    return connection.execute("SELECT * FROM rows")


TABLES = [table, batch, reader, relation, duckdb_connection, pandas_frame, polars_frame]


def body(source: Any, format: Any) -> bytes:
    return b"".join(StreamingService.export("e", source, format))


@pytest.mark.parametrize("count", [0, 1, COUNT])
@pytest.mark.parametrize("make", TABLES)
def test_a_table_is_exported_as_it_is(make: Callable[[int], Any], count: int) -> None:
    rows = [*zip(NUMBERS[:count], NAMES[:count], strict=True)]
    expected = [b"n,count(*)", *(f"{n},{name or ''}".encode() for n, name in rows), b""]
    assert body(make(count), "csv").split(b"\r\n") == expected
    objects = [{"n": n, "count(*)": name} for n, name in rows]
    assert json.loads(body(make(count), "json")) == objects
    assert [json.loads(line) for line in body(make(count), "ndjson").splitlines()] == objects


def test_a_reader_is_closed() -> None:
    class Reader:
        schema = table(0).schema
        closes = 0

        def read_next_batch(self) -> Any:
            # A reader is told by it, and read by iteration.
            raise NotImplementedError

        def __iter__(self) -> Any:
            return iter([batch(1)])

        def close(self) -> None:
            self.closes += 1

    source = Reader()
    assert body(source, "csv") == b"n,count(*)\r\n0,row 0\r\n"
    assert source.closes == 1


def test_a_frame_is_exported_without_its_index() -> None:
    frame = pandas.DataFrame({"a": [1, 2]}, index=["x", "y"])
    assert body(frame, "csv") == b"a\r\n1\r\n2\r\n"
    assert body(frame.reset_index(names="i"), "csv") == b"i,a\r\nx,1\r\ny,2\r\n"


def test_names_of_any_type_are_text() -> None:
    frame = pandas.DataFrame([[1, 2, 3]], columns=[1, ("a", "b"), date(2024, 2, 29)])
    assert body(frame, "csv") == b"1,\"('a', 'b')\",2024-02-29\r\n1,2,3\r\n"
    assert json.loads(body(frame, "json")) == [{"1": 1, "('a', 'b')": 2, "2024-02-29": 3}]


def test_rows_of_a_frame_that_are_guarded_keep_their_names() -> None:
    rows = pandas.DataFrame({"a": ["=1"], "b": [-1]}).itertuples(index=False)
    assert body(map(escape_formulas, rows), "csv") == b"a,b\r\n'=1,-1\r\n"
    dicts = polars.DataFrame({"a": ["=1"], "b": [-1]}).iter_rows(named=True)
    assert body(map(escape_formulas, dicts), "csv") == b"a,b\r\n'=1,-1\r\n"


MOMENT = datetime(2024, 2, 29, 1, 2, 3)

VALUES: list[tuple[Any, str, str]] = [
    # column, JSON, csv; its second value is missing
    (pandas.Series([1, None], dtype="Int64"), "1", "1"),
    (pandas.Series([1.5, None]), "1.5", "1.5"),
    (pandas.Series([True, None], dtype="boolean"), "true", "true"),
    (pandas.Series(["a", None]), '"a"', "a"),
    (pandas.Series(["a", None], dtype="category"), '"a"', "a"),
    (pandas.Series([MOMENT, None]), '"2024-02-29T01:02:03"', "2024-02-29T01:02:03"),
    (
        pandas.Series([pandas.Timestamp("2024-02-29T01:02:03.000004005", tz="UTC"), None]),
        '"2024-02-29T01:02:03.000004005Z"',
        "2024-02-29T01:02:03.000004005Z",
    ),
    (pandas.Series([timedelta(days=1, seconds=2), None]), '"P1DT2S"', "P1DT2S"),
    (
        pandas.Series([pandas.Timedelta(86_400_000_000_005, "ns"), None]),
        '"P1DT0.000000005S"',
        "P1DT0.000000005S",
    ),
    (pandas.Series([pandas.Period("2024-02"), None]), '"2024-02"', "2024-02"),
    (
        pandas.Series(pandas.arrays.IntervalArray.from_tuples([(0, 1), None])),
        '"(0.0, 1.0]"',
        '"(0.0, 1.0]"',
    ),
    (pandas.Series([pandas.Series([1, None], dtype="Int64"), None]), "[1,null]", '"[1,null]"'),
    (
        pandas.Series([pandas.Series(["2024-01-01"], dtype="M8[ns]"), None]),
        '["2024-01-01T00:00:00"]',
        '"[""2024-01-01T00:00:00""]"',
    ),
    (pandas.Series([polars.Series([1, None]), None]), "[1,null]", '"[1,null]"'),
    (pandas.Series([pyarrow.scalar(1), None], dtype=object), "1", "1"),
    (pandas.Series([pyarrow.array([1, None]), None], dtype=object), "[1,null]", '"[1,null]"'),
    (pandas.Series([Decimal("1.10"), None]), '"1.10"', "1.10"),
    (pandas.Series([pandas.NA, pandas.NaT], dtype=object), "null", ""),
    (pandas.Series([[1, "a"], None]), '[1,"a"]', '"[1,""a""]"'),
    (
        pandas.Series([numpy.datetime64("2024-02-29"), None], dtype=object),
        '"2024-02-29"',
        "2024-02-29",
    ),
    (polars.Series([1, None], dtype=polars.UInt64), "1", "1"),
    (polars.Series([1.5, float("nan")]), "1.5", "1.5"),
    (polars.Series([MOMENT, None]), '"2024-02-29T01:02:03"', "2024-02-29T01:02:03"),
    (
        polars.Series([MOMENT.replace(tzinfo=UTC), None]),
        '"2024-02-29T01:02:03Z"',
        "2024-02-29T01:02:03Z",
    ),
    (polars.Series([Decimal("1.10"), None]), '"1.10"', "1.10"),
    (polars.Series([{"a": 1}, None]), '{"a":1}', '"{""a"":1}"'),
    (polars.Series([b"\xff", None]), '"/w=="', "/w=="),
    (pyarrow.array([2**63, None], pyarrow.uint64()), f"{2**63}", f"{2**63}"),
    (pyarrow.array([float("inf"), None]), "null", ""),
    (pyarrow.array([Decimal("1.10"), None]), '"1.10"', "1.10"),
    (pyarrow.array([date(2024, 2, 29), None]), '"2024-02-29"', "2024-02-29"),
    (
        pyarrow.array([MOMENT, None], pyarrow.timestamp("ns")),
        '"2024-02-29T01:02:03"',
        "2024-02-29T01:02:03",
    ),
    (pyarrow.array([timedelta(days=-1), None]), '"-P1D"', "-P1D"),
    (pyarrow.array([[1, None], None]), "[1,null]", '"[1,null]"'),
    (pyarrow.array(["a", None]).dictionary_encode(), '"a"', "a"),
]


@pytest.mark.parametrize(("column", "json", "csv"), VALUES)
def test_a_value_and_a_missing_one_are_exported(column: Any, json: str, csv: str) -> None:
    columns = {"n": [1, 2], "v": column}
    if isinstance(column, pandas.Series):
        source: Any = pandas.DataFrame(columns)
    elif isinstance(column, polars.Series):
        source = polars.DataFrame(columns)
    else:
        source = pyarrow.table(columns)
    expected = f'{{"n":1,"v":{json}}}\n{{"n":2,"v":null}}\n'
    assert body(source, "ndjson").decode() == expected
    assert body(source, "csv").decode() == f"n,v\r\n1,{csv}\r\n2,\r\n"


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None]


@asynccontextmanager
async def session() -> AsyncIterator[AsyncSession]:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(engine) as session:
        await (await session.connection()).run_sync(Base.metadata.create_all)
        session.add_all(Order(id=n, note=NAMES[n]) for n in NUMBERS)
        await session.flush()
        session.expunge_all()
        yield session
    await engine.dispose()


ORDERS = select(Order).order_by(Order.id)
COLUMN_QUERY = text("SELECT id, note FROM orders ORDER BY id")
NO_ROWS = text("SELECT id, note FROM orders WHERE id < 0")


async def entities(session: AsyncSession) -> Any:
    return await session.stream_scalars(ORDERS)


async def entity_rows(session: AsyncSession) -> Any:
    return await session.stream(ORDERS)


async def result(session: AsyncSession) -> Any:
    return await session.stream(COLUMN_QUERY)


async def mappings(session: AsyncSession) -> Any:
    return (await session.stream(COLUMN_QUERY)).mappings()


async def no_rows(session: AsyncSession) -> Any:
    return await session.stream(NO_ROWS)


@pytest.mark.parametrize(
    ("query", "count"),
    [(entities, COUNT), (entity_rows, COUNT), (result, COUNT), (mappings, COUNT), (no_rows, 0)],
)
def test_an_async_result_is_exported(query: Any, count: int) -> None:
    async def main() -> bytes:
        async with session() as opened:
            export = StreamingService.export("e", await query(opened), "csv")
            return b"".join([chunk async for chunk in export])

    lines = [f"{n},{NAMES[n] or ''}".encode() for n in NUMBERS[:count]]
    assert asyncio.run(main()).split(b"\r\n") == [b"id,note", *lines, b""]


@pytest.mark.parametrize("where", ["", "WHERE 1 = 0"])
def test_an_async_cursor_is_exported(where: str) -> None:
    async def main() -> bytes:
        async with aiosqlite.connect(":memory:") as connection:
            cursor = await connection.execute(f"SELECT * FROM (SELECT 1 AS a) {where}")
            export = StreamingService.export("e", cursor, "csv")
            return b"".join([chunk async for chunk in export])

    assert asyncio.run(main()) == (b"a\r\n" if where else b"a\r\n1\r\n")


FRAME = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})

PARTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: FRAME["a"], "got a Series, which is one column: pass its to_frame()"),
    (lambda: polars.from_pandas(FRAME)["a"], "got a Series, which is one column: pass its to_fr"),
    (lambda: FRAME.index, "got a RangeIndex, which is one column: pass its to_frame()"),
    (FRAME.iterrows, "got what DataFrame.iterrows() yields, .*: pass the frame itself"),
    (FRAME.items, "got what DataFrame.items() yields, .*: pass the frame itself"),
]


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
@pytest.mark.parametrize(("part", "message"), PARTS)
def test_what_looks_like_the_rows_of_a_frame_and_is_not_is_refused(
    part: Callable[[], Any], message: str, format: Any
) -> None:
    message = re.escape(message).replace(r"\.\*", ".*")
    for rows in (part(), inline(part())):
        with pytest.raises(TypeError, match=f"^rows must be a frame or an iter.*{message}"):
            StreamingService.export("e", rows, format)


def test_the_parts_of_a_frame_are_elements_to_a_serialize_and_rows_to_a_generator() -> None:
    ids = StreamingService.export("e", FRAME["a"], "csv", serialize=str)
    assert b"".join(ids) == b"1\n2\n"
    rows = (row for _, row in FRAME.iterrows())
    assert b"".join(StreamingService.export("e", rows, "csv")) == b"a,b\r\n1,x\r\n2,y\r\n"


@pytest.mark.parametrize("accepts", ["identity", "gzip"])
def test_rows_before_one_that_fails_are_sent_also_if_all_are_one_element(accepts: str) -> None:
    frame = pandas.DataFrame({"a": [1, 2, object(), 4]}, dtype=object)
    response = StreamingService.export("e", inline(frame), "ndjson")
    request = Request(method="GET", headers=Headers({"Accept-Encoding": accepts}))
    body = bytearray()
    with (
        response.begin(request, 200, response.headers) as reply,
        pytest.raises(Exception, match="row 3"),
    ):
        assert isinstance(reply.body, Chunks)
        for chunk in reply.body:
            body += chunk
    text = zlib.decompressobj(31).decompress(body) if accepts == "gzip" else bytes(body)
    assert text == b'{"a":1}\n{"a":2}\n'


@pytest.mark.parametrize("format", ["csv", "csv-excel", "json", "ndjson", "xlsx"])
@pytest.mark.parametrize(
    "source", [pandas.DataFrame(index=range(3)), pyarrow.table({"a": [1]}).select([])]
)
def test_a_frame_without_columns_is_one_without_rows(format: Any, source: Any) -> None:
    empty = pandas.DataFrame()
    assert b"".join(StreamingService.export("e", source, format)) == b"".join(
        StreamingService.export("e", empty, format)
    )


TWICE: list[Callable[[], Any]] = [
    lambda: pandas.DataFrame([[1, 2, 3]], columns=["id", "n", "id"]),
    lambda: pyarrow.Table.from_arrays([pyarrow.array([n]) for n in (1, 2, 3)], ["id", "n", "id"]),
]


@pytest.mark.parametrize("make", TWICE)
def test_columns_of_the_same_name_are_refused_where_one_of_them_would_be_lost(
    make: Callable[[], Any],
) -> None:
    """As those of rows are: ``tests/rows/test_tables.py``."""
    formats: list[Any] = ["json", "ndjson", "parquet", "arrow"]
    for format in formats:
        with pytest.raises(ValueError, match=r"several columns that are called 'id'.*rename them"):
            b"".join(StreamingService.export("e", make(), format))
        with pytest.raises(ValueError, match=r"rows have several that are called 'id'"):
            b"".join(StreamingService.export("e", make(), format, columns=["id"]))
        assert b"".join(StreamingService.export("e", make(), format, columns=["n"]))
    assert b"".join(StreamingService.export("e", make(), "csv")) == b"id,n,id\r\n1,2,3\r\n"
