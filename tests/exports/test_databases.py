"""A million rows out of real databases: every one of them, and never many at a time."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

import psycopg
import pytest
from exports import queries
from postgresql import postgresql

MOST: Final = 32 * 1024 * 1024
"""Bytes. All rows at once take ten times as much."""


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


def stream(source: Any, host: str, format: Any = "csv") -> queries.Streamed:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(queries.stream, source, host, format).result()


@pytest.mark.parametrize("source", [*queries.SYNC, *queries.ASYNC])
def test_a_million_rows_in_flat_memory(source: Any, host: str, digest: str) -> None:
    streamed = stream(source, host)
    print(f"{source.__name__}: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.digest == digest
    assert streamed.grown < MOST


MOST_OF_A_FORMAT: Final = {"xlsx": MOST, "arrow": MOST, "parquet": 6 * MOST}
"""Bytes. Parquet holds a group of rows, of up to 64 MiB, and what is written of it."""


@pytest.mark.parametrize("source", [queries.named_cursor, queries.async_named_cursor])
@pytest.mark.parametrize("format", MOST_OF_A_FORMAT)
def test_a_million_rows_in_memory_that_has_a_bound(source: Any, format: Any, host: str) -> None:
    streamed = stream(source, host, format)
    print(f"{source.__name__}, {format}: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.grown < MOST_OF_A_FORMAT[format]


def test_a_cursor_that_is_not_of_the_server_has_all_rows_in_memory(host: str, digest: str) -> None:
    """As psycopg has it: the measure can fail."""
    streamed = stream(queries.unnamed_cursor, host)
    print(f"all rows: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.digest == digest
    assert streamed.grown > MOST
