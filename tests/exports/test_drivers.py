"""Rows and values as the drivers of databases give them."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
import pytest
from postgresql import postgresql
from psycopg import rows

from streamkit import StreamingService


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with postgresql() as host:
        yield host


VALUES: dict[str, str] = {
    # an expression of PostgreSQL's: what it is in JSON
    "'[1,5)'::int4range": '"[1,5)"',
    "'(1.10,]'::numrange": '"(1.10,)"',
    "'empty'::int4range": '"empty"',
    "'[2024-01-01,2024-02-01)'::daterange": '"[2024-01-01,2024-02-01)"',
    "'[2024-01-01 00:00+00,)'::tstzrange": '"[2024-01-01T00:00:00Z,)"',
    "'{[1,2),[5,6)}'::int4multirange": '["[1,2)","[5,6)"]',
    "'10.0.0.1'::inet": '"10.0.0.1"',
    "'10.0.0.0/8'::cidr": '"10.0.0.0/8"',
    "interval '1 day 2.5 seconds'": '"P1DT2.5S"',
    "ARRAY[1,NULL]": "[1,null]",
    "ARRAY[[1,2],[3,4]]": "[[1,2],[3,4]]",
    "1.10::numeric": '"1.10"',
    "'00000000-0000-0000-0000-000000000005'::uuid": '"00000000-0000-0000-0000-000000000005"',
    "'\\xff'::bytea": '"/w=="',
    "timestamptz '1936-05-01 12:00+00:19:32'": '"1936-05-01T11:40:28Z"',
    "time '01:02:03'": '"01:02:03"',
}
QUERY = f"SELECT {', '.join(f'{value} AS v{n}' for n, value in enumerate(VALUES))}"
EXPECTED = ",".join(f'"v{n}":{json}' for n, json in enumerate(VALUES.values()))


def body(source: Any, format: Any) -> str:
    return b"".join(StreamingService.export("e", source, format)).decode()


def test_values_of_psycopg(host: str) -> None:
    with psycopg.connect(host=host, user="postgres", options="-c timezone=UTC") as connection:
        assert body(connection.execute(QUERY.encode()), "ndjson") == f"{{{EXPECTED}}}\n"


def test_a_time_of_a_session_in_an_old_zone_keeps_its_seconds(host: str) -> None:
    with psycopg.connect(
        host=host, user="postgres", options="-c timezone=Europe/Amsterdam"
    ) as connection:
        cursor = connection.execute("SELECT timestamptz '1936-05-01 11:40:28+00' AS v")
        # psycopg knows the zone, and PostgreSQL's and Python's tables need not agree on it.
        [(moment,)] = connection.execute("SELECT timestamptz '1936-05-01 11:40:28+00'").fetchall()
        assert body(cursor, "csv") == f"v\r\n{moment.isoformat()}\r\n"


def test_values_of_asyncpg(host: str) -> None:
    async def main() -> str:
        connection = await asyncpg.connect(host=host, user="postgres")
        records = await connection.fetch(f"{QUERY}, B'101' AS bits, point '(1,2)' AS point")
        await connection.close()
        export = StreamingService.export("e", records, "ndjson")
        return b"".join([chunk async for chunk in export]).decode()

    assert asyncio.run(main()) == f'{{{EXPECTED},"bits":"101","point":[1.0,2.0]}}\n'


@dataclass
class Pair:
    a: int
    b: str


FACTORIES = [rows.tuple_row, rows.dict_row, rows.namedtuple_row, rows.class_row(Pair)]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("name", ["", "of_the_server"])
def test_row_factories_of_psycopg(factory: Any, name: str, host: str) -> None:
    with psycopg.connect(host=host, user="postgres") as connection:
        cursor: Any = connection.cursor(name, row_factory=factory)
        query = "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'"
        assert body(cursor.execute(query), "csv") == "a,b\r\n1,x\r\n2,y\r\n"
