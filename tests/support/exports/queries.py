"""Rows of databases, streamed by sync and async drivers, in a process of its own."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import aiosqlite
import asyncpg
import psutil
import psycopg
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from streamkit import ExportFormat, StreamingService, inline

__all__ = [
    "ASYNC",
    "COUNT",
    "CREATE_ORDERS",
    "MOST",
    "SYNC",
    "Streamed",
    "lines",
    "stream",
    "unnamed_cursor",
]

COUNT: Final = 250_000

MOST: Final = 500_000
"""Rows of the table."""

AT_ONCE: Final = 2000
"""Rows that a driver fetches at a time."""

CREATE_ORDERS: Final = f"""
    CREATE TABLE orders AS
    SELECT n AS id, n / 7::float8 AS share, 'customer ' || n AS customer,
        timestamp '2024-01-01' + n * interval '1 second' AS ordered_at,
        NULL::date AS cancelled_at, (n / 100::numeric)::numeric(12, 2) AS total
    FROM generate_series(1, {MOST}) AS n
"""

ORDERS: Final = "SELECT * FROM orders WHERE id <= {count} ORDER BY id"

SQLITE: Final = """
    WITH RECURSIVE series(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM series WHERE n < {count})
    SELECT n AS id, n / 7.0 AS share, 'customer ' || n AS customer,
        strftime('%Y-%m-%dT%H:%M:%S', '2024-01-01', n || ' seconds') AS ordered_at,
        NULL AS cancelled_at, printf('%.2f', n / 100.0) AS total
    FROM series
"""


def lines() -> Iterator[bytes]:
    """What ``COUNT`` of them are to send."""
    yield b"id,share,customer,ordered_at,cancelled_at,total\r\n"
    start = datetime(2024, 1, 1).timestamp()
    for n in range(1, COUNT + 1):
        ordered_at = datetime.fromtimestamp(start + n).isoformat()
        yield f"{n},{n / 7!r},customer {n},{ordered_at},,{n / 100:.2f}\r\n".encode()


def url(host: str) -> sqlalchemy.URL:
    return sqlalchemy.URL.create("postgresql+psycopg", "postgres", host=host, database="postgres")


@contextmanager
def sqlite(host: str, count: int) -> Iterator[Any]:
    connection = sqlite3.connect(":memory:")
    yield inline(connection.execute(SQLITE.format(count=count)))
    connection.close()


@contextmanager
def named_cursor(host: str, count: int) -> Iterator[Any]:
    with psycopg.connect(host=host, user="postgres") as connection:
        cursor = connection.cursor("orders")
        cursor.itersize = AT_ONCE
        yield cursor.execute(ORDERS.format(count=count).encode())


@contextmanager
def unnamed_cursor(host: str, count: int) -> Iterator[Any]:
    """It has all rows before the first: what the others are compared with."""
    with psycopg.connect(host=host, user="postgres") as connection:
        yield connection.execute(ORDERS.format(count=count).encode())


@contextmanager
def sqlalchemy_result(host: str, count: int) -> Iterator[Any]:
    engine = sqlalchemy.create_engine(url(host))
    with engine.connect().execution_options(yield_per=AT_ONCE) as connection:
        yield connection.execute(sqlalchemy.text(ORDERS.format(count=count)))
    engine.dispose()


@asynccontextmanager
async def aiosqlite_cursor(host: str, count: int) -> AsyncIterator[Any]:
    async with aiosqlite.connect(":memory:", iter_chunk_size=AT_ONCE) as connection:
        yield await connection.execute(SQLITE.format(count=count))


@asynccontextmanager
async def async_named_cursor(host: str, count: int) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(host=host, user="postgres") as connection:
        cursor = connection.cursor("orders")
        cursor.itersize = AT_ONCE
        yield await cursor.execute(ORDERS.format(count=count).encode())


@asynccontextmanager
async def asyncpg_cursor(host: str, count: int) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(host=host, user="postgres")
    async with connection.transaction():
        yield connection.cursor(ORDERS.format(count=count), prefetch=AT_ONCE)
    await connection.close()


@asynccontextmanager
async def async_sqlalchemy_result(host: str, count: int) -> AsyncIterator[Any]:
    engine = create_async_engine(url(host))
    async with engine.connect() as connection:
        options = {"yield_per": AT_ONCE}
        yield await connection.stream(
            sqlalchemy.text(ORDERS.format(count=count)), execution_options=options
        )
    await engine.dispose()


SYNC: Final = [sqlite, named_cursor, sqlalchemy_result]
ASYNC: Final = [aiosqlite_cursor, async_named_cursor, asyncpg_cursor, async_sqlalchemy_result]

Source = Callable[[str, int], Any]


class Streamed(NamedTuple):
    digest: str
    grown: int
    """Bytes by which the process was larger, at most, than before the stream."""


class Reader:
    """Takes chunks, and looks at the memory of this process at each."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._largest = self._process.memory_info().rss
        self._digest = hashlib.sha256()

    def take(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._largest = max(self._largest, self._process.memory_info().rss)

    def streamed(self) -> Streamed:
        return Streamed(self._digest.hexdigest(), self._largest - self._before)


def stream(source: Source, host: str, format: ExportFormat, count: int) -> Streamed:
    """Export ``count`` rows of ``source``, and a few before, so that all code is in memory."""
    read = read_async if source in ASYNC else read_sync
    read(source, host, 5 * AT_ONCE, format)
    return read(source, host, count, format)


def read_sync(source: Source, host: str, count: int, format: ExportFormat) -> Streamed:
    reader = Reader()
    with source(host, count) as rows:
        for chunk in StreamingService.export("orders", rows, format):
            reader.take(chunk)
    return reader.streamed()


def read_async(source: Source, host: str, count: int, format: ExportFormat) -> Streamed:
    async def read() -> Streamed:
        reader = Reader()
        async with source(host, count) as rows:
            async for chunk in StreamingService.export("orders", rows, format):
                reader.take(chunk)
        return reader.streamed()

    return asyncio.run(read())
