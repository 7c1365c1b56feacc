"""The types of columns that cursors of databases (PEP 249) and results of SQLAlchemy tell.

What the types of a description mean is each driver's own affair, so that drivers are known by name.
Told is only what is certain: a column whose values may be of several types has none.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from streamkit.rows.header import AWARE, NAIVE, decimal_of_scale, example_of_type

__all__ = ["example_of_sql_type", "examples_of_result"]

# Numbers of types in PostgreSQL's catalog, pg_type.dat: of one value, and of an array of it.
_POSTGRESQL: Final[dict[int, Any]] = {}
for _one, _many, _example in (
    (16, 1000, False),
    (17, 1001, b""),
    (20, 1016, 0),
    (21, 1005, 0),
    (23, 1007, 0),
    (26, 1028, 0),
    (25, 1009, ""),
    (19, 1003, ""),
    (1042, 1014, ""),
    (1043, 1015, ""),
    (700, 1021, 0.0),
    (701, 1022, 0.0),
    (1082, 1182, date.min),
    (1083, 1183, time.min),
    (1114, 1115, NAIVE),
    (1184, 1185, AWARE),
    (1186, 1187, timedelta()),
    (2950, 2951, UUID(int=0)),
    # Networks and ranges, which are text in every format.
    (650, 651, ""),
    (869, 1041, ""),
    (3904, 3905, ""),
    (3906, 3907, ""),
    (3908, 3909, ""),
    (3910, 3911, ""),
    (3912, 3913, ""),
    (3926, 3927, ""),
):
    _POSTGRESQL[_one], _POSTGRESQL[_many] = _example, [_example]
_POSTGRESQL_NUMERIC: Final = 1700

# Numbers of types in MySQL's protocol, enum_field_types. Text is not told from bytes by them.
_MYSQL: Final[dict[int, Any]] = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13), 0),
    **dict.fromkeys((4, 5), 0.0),
    **dict.fromkeys((7, 12), NAIVE),
    10: date.min,
    11: timedelta(),
}
_MYSQL_DECIMALS: Final = (0, 246)

# Names of python-oracledb's types. A NUMBER is an int or a float, value by value.
_ORACLE: Final[dict[str, Any]] = {
    "BINARY_DOUBLE": 0.0,
    "BINARY_FLOAT": 0.0,
    "BOOLEAN": False,
    "CHAR": "",
    "DATE": NAIVE,
    "INTERVAL_DS": timedelta(),
    "LONG": "",
    "LONG_RAW": b"",
    "NCHAR": "",
    "NVARCHAR": "",
    "RAW": b"",
    "TIMESTAMP": NAIVE,
    "VARCHAR": "",
}


def _of_postgresql(column: Sequence[Any]) -> Any:
    _, code, _, _, _, scale, *_ = column
    return decimal_of_scale(scale) if code == _POSTGRESQL_NUMERIC else _POSTGRESQL.get(code)


def _of_mysql(column: Sequence[Any]) -> Any:
    _, code, _, _, _, scale, *_ = column
    return decimal_of_scale(scale) if code in _MYSQL_DECIMALS else _MYSQL.get(code)


def _of_oracle(column: Sequence[Any]) -> Any:
    _, code, *_ = column
    return _ORACLE.get(code.name.removeprefix("DB_TYPE_"))


def _of_python(column: Sequence[Any]) -> Any:
    _, code, _, _, _, scale, *_ = column
    if code is Decimal:
        return decimal_of_scale(scale)
    # pyodbc has no values that have an offset.
    return NAIVE if code is datetime else example_of_type(code)


_DRIVERS: Final[dict[str, Callable[[Sequence[Any]], Any]]] = {
    "psycopg": _of_postgresql,
    "psycopg2": _of_postgresql,
    "pymysql": _of_mysql,
    "MySQLdb": _of_mysql,
    "aiomysql": _of_mysql,
    "mysql": _of_mysql,
    "oracledb": _of_oracle,
    "pyodbc": _of_python,
}
"""What reads a column of a description, by the package of the cursor's class or of one of its
bases."""


def examples_of_result(result: Any) -> list[Any]:
    """An example of each column of a cursor, or of a result of SQLAlchemy; none if none is known.

    See ``Header``.
    """
    known = getattr(result, "_real_result", None) or result
    statement = getattr(_context_of(known), "invoked_statement", None)
    selected = [each["type"] for each in getattr(statement, "column_descriptions", ())]
    if selected:
        return [*map(example_of_sql_type, selected)]
    # Django's cursor has one within, and so has a result of a text() of SQLAlchemy's.
    cursor = getattr(known, "cursor", None) or known
    for base in type(cursor).__mro__:
        read = _DRIVERS.get(base.__module__.partition(".")[0])
        if read is not None:
            return [*map(read, cursor.description or ())]
    return []


def _context_of(result: Any) -> Any:
    """What a result of SQLAlchemy's was executed with; that of the ORM has another one within."""
    return getattr(getattr(result, "raw", None) or result, "context", None)


def example_of_sql_type(kind: Any) -> Any:
    """An example of the values of a type of SQLAlchemy's."""
    # An entity has none, and of a type that someone has decorated it is object.
    python = getattr(kind, "python_type", None)
    if python is list:
        example = example_of_sql_type(kind.item_type)
        for _ in range(kind.dimensions or 1):
            example = [example]
        return example
    if python is datetime:
        # Of those with a time zone not every database gives it back.
        return None if kind.timezone else NAIVE
    if python is Decimal:
        return decimal_of_scale(kind.scale)
    return example_of_type(python)
