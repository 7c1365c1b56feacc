"""Many rows out of real databases: every one of them, and never many at a time."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

import psycopg
import pytest
from exports import queries
from postgresql import postgresql

MOST: Final = 16 * 1024 * 1024
"""Bytes. All rows at once take more than twice as much."""

PROCESSES: Final = get_context("forkserver")
PROCESSES.set_forkserver_preload([queries.__name__])


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with postgresql() as host:
        with psycopg.connect(host=host, user="postgres") as connection:
            connection.execute(queries.CREATE_ORDERS.encode())
            connection.execute("CREATE UNIQUE INDEX ON orders (id)")
        yield host


@pytest.fixture(scope="module")
def digest() -> str:
    digest = hashlib.sha256()
    for line in queries.lines():
        digest.update(line)
    return digest.hexdigest()


def stream(
    source: Any, host: str, format: Any = "csv", count: int = queries.COUNT
) -> queries.Streamed:
    with ProcessPoolExecutor(1, PROCESSES) as process:
        return process.submit(queries.stream, source, host, format, count).result()


@pytest.mark.parametrize("source", [*queries.SYNC, *queries.ASYNC])
def test_rows_in_flat_memory(source: Any, host: str, digest: str) -> None:
    streamed = stream(source, host)
    print(f"{source.__name__}: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.digest == digest
    assert streamed.grown < MOST


@pytest.mark.parametrize(
    ("format", "count", "most"),
    [
        ("xlsx", queries.COUNT, MOST),
        ("arrow", queries.COUNT, 2 * MOST),
        # It holds a group of rows, of up to 64 MiB, and what is written of it.
        ("parquet", queries.MOST, 6 * MOST),
    ],
)
def test_rows_in_memory_that_has_a_bound(format: Any, count: int, most: int, host: str) -> None:
    streamed = stream(queries.named_cursor, host, format, count)
    print(f"{format}: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.grown < most


def test_a_cursor_that_is_not_of_the_server_has_all_rows_in_memory(host: str, digest: str) -> None:
    """As psycopg has it: the measure can fail."""
    streamed = stream(queries.unnamed_cursor, host)
    print(f"all rows: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.digest == digest
    assert streamed.grown > MOST
