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


def stream(source: Any, host: str) -> queries.Streamed:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(queries.stream, source, host).result()


@pytest.mark.parametrize("source", [*queries.SYNC, *queries.ASYNC])
def test_a_million_rows_in_flat_memory(source: Any, host: str, digest: str) -> None:
    streamed = stream(source, host)
    print(f"{source.__name__}: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.digest == digest
    assert streamed.grown < MOST


def test_a_cursor_that_is_not_of_the_server_has_all_rows_in_memory(host: str, digest: str) -> None:
    """As psycopg has it: the measure can fail."""
    streamed = stream(queries.unnamed_cursor, host)
    print(f"all rows: {streamed.grown / 1024 / 1024:.1f} MiB")
    assert streamed.digest == digest
    assert streamed.grown > MOST
