"""What a spreadsheet would run gets a single quote before it; nothing else changes."""

import enum
import sqlite3
from collections import UserDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest

from streamkit import StreamingService, escape_formulas


class Formula(enum.Enum):
    SUM = "=1+1"


class Name(str, enum.Enum):  # noqa: UP042 (it differs from StrEnum)
    AT = "@a"


class Text(str):
    pass


RUN: list[Any] = [
    "=1+1",
    "=",
    "+1",
    "+49 30 1234",
    "@SUM(1)",
    "-",
    "-a",
    "-1+1",
    "-1-1",
    "--1",
    "- 1",
    "-1,5",
    "-2+3+cmd|' /C calc'!D2",
    "\t=1",
    "\tb",
    "\rb",
    "\nb",
    "\n",
    "\uff1d1",
    "\uff0b1",
    "\uff201",
    "\uff0d1",
    " =1",
    "   @a",
    "\u00a0=1",
    "\u3000\uff1d1",
    " \tb",
    " - 1",
]

KEPT: list[Any] = [
    "",
    " ",
    "a",
    "a=1",
    "1",
    "1-1",
    "'=1",
    '"=1"',
    "-1",
    "-12.5",
    " -12.5 ",
    "-1e-05",
    "-1E+300",
    "a\tb",
    "a\nb",
    -1,
    -1.5,
    -(10**400),
    float("-inf"),
    Decimal("-1.50"),
    None,
    True,
    date(2024, 2, 29),
    datetime(2024, 2, 29, tzinfo=UTC),
    # These are text in csv that begins with a bracket.
    ["=1"],
    ("=1",),
    {"=1": "=1"},
]

# Not text themselves, but their cells are.
TEXTS: list[tuple[Any, Any]] = [
    (Text("=1"), "'=1"),
    (Name.AT, "'@a"),
    (Formula.SUM, "'=1+1"),
    (timedelta(days=-1), "'-P1D"),
    (b"\xfb\xef\xbe", "'++++"),
    ("=\udc80", "'=\udc80"),
]


@pytest.mark.parametrize("text", RUN)
def test_text_that_would_be_run_gets_a_quote(text: str) -> None:
    assert escape_formulas({"a": text}) == {"a": f"'{text}"}


@pytest.mark.parametrize(("value", "cell"), TEXTS)
def test_a_value_that_is_written_as_text_is_guarded_as_text(value: Any, cell: str) -> None:
    assert escape_formulas({"a": value}) == {"a": cell}


@pytest.mark.parametrize("value", [*KEPT, Text("a"), timedelta(1), b"a", ["=1"], Decimal("-inf")])
def test_a_value_that_is_not_run_is_left_alone(value: Any) -> None:
    row = {"a": value}
    assert escape_formulas(row) is row


def test_numbers_of_numpy_are_left_alone() -> None:
    numpy = pytest.importorskip("numpy")
    row = [numpy.int64(-1), numpy.float32(-1.5), numpy.float64(-1e300), numpy.array([-1])]
    assert escape_formulas(row) is row
    assert escape_formulas([numpy.str_("=1"), -1]) == ["'=1", -1]


class Pair(NamedTuple):
    a: str
    b: int


@dataclass
class Record:
    a: str
    b: int


class Struct(msgspec.Struct):
    a: str
    b: int


def sqlite_row() -> sqlite3.Row:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    try:
        row: sqlite3.Row = connection.execute("SELECT '=1' AS a, -2 AS b").fetchone()
    finally:
        connection.close()
    return row


def sqlalchemy_row() -> Any:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        row = connection.execute(sqlalchemy.text("SELECT '=1' AS a, -2 AS b")).one()
    engine.dispose()
    return row


def attrs_row() -> Any:
    return pytest.importorskip("attrs").make_class("Attrs", ["a", "b"])("=1", -2)


def pydantic_row() -> Any:
    return pytest.importorskip("pydantic").create_model("Model", a=str, b=int)(a="=1", b=-2)


NAMED: dict[str, Any] = {
    "dict": lambda: {"a": "=1", "b": -2},
    "mapping": lambda: UserDict(a="=1", b=-2),
    "named tuple": lambda: Pair("=1", -2),
    "dataclass": lambda: Record("=1", -2),
    "Struct": lambda: Struct("=1", -2),
    "sqlite3.Row": sqlite_row,
    "SQLAlchemy": sqlalchemy_row,
    "attrs": attrs_row,
    "pydantic": pydantic_row,
}


@pytest.mark.parametrize("make", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize(
    ("format", "body"),
    [
        ("csv", b"a,b\r\n'=1,-2\r\n'=1,-2\r\n"),
        ("ndjson", b'{"a":"\'=1","b":-2}\n' * 2),
        ("json", b'[\n{"a":"\'=1","b":-2},\n{"a":"\'=1","b":-2}\n]\n'),
    ],
)
def test_a_row_keeps_its_columns(make: Any, format: Any, body: bytes) -> None:
    rows = [make(), make()]
    export = StreamingService.export("e", map(escape_formulas, rows), format)
    assert b"".join(export) == body


@pytest.mark.parametrize(
    ("row", "guarded"),
    [
        (("=1", 2), ("'=1", 2)),
        (["=1", 2], ["'=1", 2]),
        (Pair("=1", 2), Pair("'=1", 2)),
        ({"a": "=1"}, {"a": "'=1"}),
    ],
)
def test_a_row_keeps_its_type(row: Any, guarded: Any) -> None:
    assert escape_formulas(row) == guarded
    assert type(escape_formulas(row)) is type(row)


def test_columns_of_the_same_name_are_all_guarded() -> None:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    rows = connection.execute("SELECT '=1' AS id, 2 AS n, '=3' AS id").fetchall()
    connection.close()
    export = StreamingService.export("e", map(escape_formulas, rows), "csv")
    assert b"".join(export) == b"id,n,id\r\n'=1,2,'=3\r\n"


def test_guarded_and_other_rows_have_one_header() -> None:
    rows = [Record("a", 1), Record("=1", 2), Record("b", 3)] * 50
    export = StreamingService.export("e", map(escape_formulas, rows), "csv")
    assert b"".join(export) == b"a,b\r\n" + b"a,1\r\n'=1,2\r\nb,3\r\n" * 50


def test_a_row_is_not_changed_itself() -> None:
    row = {"a": "=1"}
    escape_formulas(row)
    assert row == {"a": "=1"}


@pytest.mark.parametrize("row", ["=1", b"=1", 1, None])
def test_what_is_no_row_is_refused(row: Any) -> None:
    with pytest.raises(TypeError, match="a row must be"):
        escape_formulas(row)


def test_fields_that_are_called_like_methods_are_guarded() -> None:
    Keys = namedtuple("Keys", ["keys", "values"])
    assert escape_formulas(Keys("=1", 2)) == ("'=1", 2)
