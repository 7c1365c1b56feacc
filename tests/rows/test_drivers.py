"""What descriptions tell of types, as the drivers gave them that the rows name."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from streamkit.rows.drivers import examples_of_result


class OracleType(Enum):
    """As python-oracledb's types, which have a name."""

    DB_TYPE_VARCHAR = 1
    DB_TYPE_DATE = 2
    DB_TYPE_NUMBER = 3
    DB_TYPE_RAW = 4
    DB_TYPE_TIMESTAMP_TZ = 5


MOMENT = datetime(1970, 1, 1)

MYSQL: list[tuple[Any, ...]] = [
    ("int", 3, None, 11, 11, 0, True),
    ("decimal(12,2)", 246, None, 14, 14, 2, True),
    ("double", 5, None, 22, 22, 31, True),
    ("varchar(20)", 253, None, 80, 80, 0, True),
    ("blob", 252, None, 65535, 65535, 0, True),
    ("date", 10, None, 10, 10, 0, True),
    ("time(6)", 11, None, 17, 17, 6, True),
    ("datetime(6)", 12, None, 26, 26, 6, True),
    ("json", 252, None, 0, 0, 0, True),
]
MYSQL_EXAMPLES = [
    *(0, Decimal("0.00"), 0.0, None, None),
    *(date.min, timedelta(), MOMENT, None),
]

DESCRIPTIONS: list[tuple[str, list[tuple[Any, ...]], Sequence[Any]]] = [
    # the module of the cursor's class, its description, and what it tells
    ("pymysql.cursors", MYSQL, MYSQL_EXAMPLES),
    ("MySQLdb.cursors", MYSQL, MYSQL_EXAMPLES),
    ("aiomysql.cursors", MYSQL, MYSQL_EXAMPLES),
    (
        "mysql.connector.cursor",
        [
            ("int", 3, None, None, None, None, 1, 0, 63),
            ("decimal(12,2)", 246, None, None, None, None, 1, 0, 63),
        ],
        [0, None],
    ),
    (
        "psycopg2.extensions",
        [
            ("int", 23, None, 4, None, None, None),
            ("numeric(9,2)", 1700, None, 5, 9, 2, None),
            ("numeric", 1700, None, -1, 65535, 65535, None),
            ("jsonb", 3802, None, -1, None, None, None),
        ],
        [0, Decimal("0.00"), None, None],
    ),
    (
        "oracledb.cursor",
        [(kind.name, kind, None, None, None, None, True) for kind in OracleType],
        ["", MOMENT, None, b"", None],
    ),
    (
        "pyodbc",
        [
            ("integer", int, None, 10, 10, 0, True),
            ("numeric(9,2)", Decimal, None, 9, 9, 2, True),
            ("varbinary", bytearray, None, 9, 9, 0, True),
            ("datetime2", datetime, None, 27, 27, 7, True),
            ("date", date, None, 10, 10, 0, True),
        ],
        [0, Decimal("0.00"), b"", MOMENT, date.min],
    ),
    ("sqlite3", [("n", None, None, None, None, None, None)], []),
    ("of_someone_else", [("n", 3, None, None, None, None, None)], []),
]


@pytest.mark.parametrize(("module", "description", "examples"), DESCRIPTIONS)
def test_a_cursor_tells_types(
    module: str, description: list[tuple[Any, ...]], examples: Sequence[Any]
) -> None:
    cursor_class = type("Cursor", (), {"__module__": module, "description": description})
    # Cursors are subclassed, by applications and by Django.
    subclass: Any = type("Cursor", (cursor_class,), {"__module__": "shop"})
    for cursor in (cursor_class(), subclass()):
        found = examples_of_result(cursor)
        assert [*map(repr, found)] == [*map(repr, examples)]


def test_a_cursor_within_another_object_tells_types() -> None:
    """As that of Django's ``connection.cursor()``, and of a ``text()`` of SQLAlchemy's."""
    inner = type("Cursor", (), {"__module__": "pymysql.cursors", "description": MYSQL})()
    wrapper: Any = type("Wrapper", (), {"cursor": inner, "description": MYSQL})()
    assert examples_of_result(wrapper) == MYSQL_EXAMPLES
    unused = {"__module__": "pyodbc", "description": None}
    assert examples_of_result(type("Cursor", (), unused)()) == []
