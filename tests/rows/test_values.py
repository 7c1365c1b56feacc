"""What a value is: one table for every format."""

import enum
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from encoding import encoded

from streamkit.encoders import CsvEncoder, JsonEncoder, NdjsonEncoder


class Colour(enum.Enum):
    RED = "red"
    ONE = 1
    PAIR = (1, "a")
    NONE = None


class Level(enum.IntEnum):
    LOW = 1


class Name(str, enum.Enum):  # noqa: UP042 (it differs from StrEnum)
    TICK = "tick"


class Text(str):
    def __str__(self) -> str:
        return self


class Whole(int):
    pass


class Real(float):
    pass


class Octets(bytes):
    pass


class Money(Decimal):
    pass


class Moment(datetime):
    pass


class Span(timedelta):
    pass


class Id(UUID):
    pass


class Point(NamedTuple):
    x: int
    y: int


VALUES: list[tuple[Any, str, str]] = [
    # value, JSON, csv
    (None, "null", ""),
    (True, "true", "true"),
    (False, "false", "false"),
    (0, "0", "0"),
    (-(2**63) - 1, "-9223372036854775809", "-9223372036854775809"),
    (2**64, "18446744073709551616", "18446744073709551616"),
    (10**400, "1" + "0" * 400, "1" + "0" * 400),
    (1.5, "1.5", "1.5"),
    (0.1, "0.1", "0.1"),
    (-0.0, "-0.0", "-0.0"),
    (1e300, "1e300", "1e300"),
    (float("nan"), "null", ""),
    (float("inf"), "null", ""),
    (float("-inf"), "null", ""),
    (Decimal("1.10"), '"1.10"', "1.10"),
    (Decimal("0.1") ** 30, '"1E-30"', "1E-30"),
    (Decimal(10**40), f'"{10**40}"', f"{10**40}"),
    (Decimal("NaN"), '"NaN"', "NaN"),
    (datetime(2024, 2, 29, 1, 2, 3), '"2024-02-29T01:02:03"', "2024-02-29T01:02:03"),
    (
        datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
        '"2024-02-29T01:02:03.000004Z"',
        "2024-02-29T01:02:03.000004Z",
    ),
    (
        datetime(2024, 2, 29, 1, 2, 3, tzinfo=timezone(timedelta(hours=-5))),
        '"2024-02-29T01:02:03-05:00"',
        "2024-02-29T01:02:03-05:00",
    ),
    (date(2024, 2, 29), '"2024-02-29"', "2024-02-29"),
    (time(1, 2, 3), '"01:02:03"', "01:02:03"),
    (time(1, 2, 3, 4, UTC), '"01:02:03.000004Z"', "01:02:03.000004Z"),
    (timedelta(days=1, seconds=2, microseconds=3), '"P1DT2.000003S"', "P1DT2.000003S"),
    (timedelta(days=-1), '"-P1D"', "-P1D"),
    (UUID(int=5), f'"{UUID(int=5)}"', f"{UUID(int=5)}"),
    (Colour.RED, '"red"', "red"),
    (Colour.ONE, "1", "1"),
    (Colour.PAIR, '[1,"a"]', '"[1,""a""]"'),
    (Colour.NONE, "null", ""),
    (Level.LOW, "1", "1"),
    (Name.TICK, '"tick"', "tick"),
    (b"\xff\x00", '"/wA="', "/wA="),
    (bytearray(b"a"), '"YQ=="', "YQ=="),
    (memoryview(b"a"), '"YQ=="', "YQ=="),
    (b"\x9e\xe9e", '"null"', "null"),
    ("a", '"a"', "a"),
    ("null", '"null"', "null"),
    ("", '""', '""'),
    ("a\u2028\U0001f600", '"a\u2028\U0001f600"', "a\u2028\U0001f600"),
    ("a\0b", '"a\\u0000b"', "a\0b"),
    ("a,b", '"a,b"', '"a,b"'),
    ('a"b', '"a\\"b"', '"a""b"'),
    ("a\nb\rc", '"a\\nb\\rc"', '"a\nb\rc"'),
    (" a", '" a"', '" a"'),
    ("a ", '"a "', '"a "'),
    ("\ta", '"\\ta"', '"\ta"'),
    (' "', '" \\""', '" """'),
    ("=1+1", '"=1+1"', "=1+1"),
    ([], "[]", "[]"),
    ([1, None, "a"], '[1,null,"a"]', '"[1,null,""a""]"'),
    ((1, 2), "[1,2]", '"[1,2]"'),
    (frozenset([1]), "[1]", "[1]"),
    ({"a": Decimal(1)}, '{"a":"1"}', '"{""a"":""1""}"'),
    ({1: date(2024, 1, 1)}, '{"1":"2024-01-01"}', '"{""1"":""2024-01-01""}"'),
    (Point(1, 2), "[1,2]", '"[1,2]"'),
    (msgspec.UNSET, "null", ""),
    # Of a type that is made of another.
    (Text("a"), '"a"', "a"),
    (Text(""), '""', '""'),
    (Whole(1), "1", "1"),
    (Real(1.5), "1.5", "1.5"),
    (Real("nan"), "null", ""),
    (Octets(b"a"), '"YQ=="', "YQ=="),
    (Money("1.10"), '"1.10"', "1.10"),
    (Moment(2024, 2, 29), '"2024-02-29T00:00:00"', "2024-02-29T00:00:00"),
    (Span(days=1), '"P1D"', "P1D"),
    (Id(int=5), f'"{UUID(int=5)}"', f"{UUID(int=5)}"),
]

# In csv a column of one type and a mixed one are encoded differently.
COLUMNS: dict[str, Callable[[Any], list[Any]]] = {
    "alone": lambda value: [value],
    "with nulls": lambda value: [value, None],
    "with numbers": lambda value: [value, 1, 2.5, Decimal("3.0")],
    "with text": lambda value: [value, "b"],
    "with containers": lambda value: [value, [1]],
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize(("value", "json", "csv"), VALUES)
def test_a_value_is_the_same_in_every_format(
    value: Any, json: str, csv: str, column: Callable[[Any], list[Any]]
) -> None:
    rows = [{"n": 1, "v": value} for value in column(value)]
    lines = encoded(NdjsonEncoder(), rows).decode().split("\n")
    assert lines[0] == f'{{"n":1,"v":{json}}}'
    array = encoded(JsonEncoder(), rows).decode()
    assert array.startswith(f'[\n{{"n":1,"v":{json}}}')
    assert encoded(CsvEncoder(), rows).decode().startswith(f"n,v\r\n1,{csv}\r\n")


def test_values_of_numpy_are_exported() -> None:
    numpy = pytest.importorskip("numpy")
    row = {
        "int": numpy.int64(1),
        "float": numpy.float32(0.5),
        "nan": numpy.float64("nan"),
        "bool": numpy.bool_(True),
        "str": numpy.str_("a"),
        "day": numpy.datetime64("2024-02-29"),
        "ns": numpy.datetime64("2024-02-29T01:02:03.000004005", "ns"),
        "span": numpy.timedelta64(1_500_000_000, "ns"),
        "nat": numpy.datetime64("NaT", "ns"),
        "array": numpy.array([1, 2]),
    }
    assert encoded(NdjsonEncoder(), [row]) == (
        b'{"int":1,"float":0.5,"nan":null,"bool":true,"str":"a","day":"2024-02-29",'
        b'"ns":"2024-02-29T01:02:03.000004","span":"PT1.5S","nat":null,"array":[1,2]}\n'
    )
    assert encoded(CsvEncoder(), [row]).split(b"\r\n")[1] == (
        b'1,0.5,,true,a,2024-02-29,2024-02-29T01:02:03.000004,PT1.5S,,"[1,2]"'
    )


def test_objects_inside_of_rows_are_encoded() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", at=datetime, price=Decimal)
    row = {"v": [model(at=datetime(2024, 2, 29), price=Decimal("1.10"))]}
    assert encoded(NdjsonEncoder(), [row]) == (
        b'{"v":[{"at":"2024-02-29T00:00:00","price":"1.10"}]}\n'
    )


SURROGATES: list[tuple[Any, str, str]] = [
    ("a\ud800b", '"a\ufffdb"', "a\ufffdb"),
    ("\ud83d\ude00", '"\U0001f600"', "\U0001f600"),
    ("\udc22", '"\ufffd"', "\ufffd"),
    ("\udc22,", '"\ufffd,"', '"\ufffd,"'),
    (" \udc22", '" \ufffd"', '" \ufffd"'),
    (["\udc80"], '["\ufffd"]', '"[""\ufffd""]"'),
    ({"\udc80": Decimal("1.10")}, '{"\ufffd":"1.10"}', '"{""\ufffd"":""1.10""}"'),
    (Text("\ud800"), '"\ufffd"', "\ufffd"),
]


@pytest.mark.parametrize(("value", "json", "csv"), SURROGATES)
def test_a_lone_surrogate_is_repaired_and_its_row_counted(value: Any, json: str, csv: str) -> None:
    at = datetime(2024, 2, 29)
    rows = [{"v": "", "at": at}, {"v": value, "at": at}, {"v": "b", "at": at}]

    ndjson = NdjsonEncoder()
    assert encoded(ndjson, rows).decode().split("\n")[1:3] == [
        f'{{"v":{json},"at":"2024-02-29T00:00:00"}}',
        '{"v":"b","at":"2024-02-29T00:00:00"}',
    ]
    assert ndjson.repaired == 1

    array = JsonEncoder()
    assert msgspec.json.decode(encoded(array, rows))[1]["v"] == msgspec.json.decode(json)
    assert array.repaired == 1

    table = CsvEncoder()
    assert encoded(table, rows).decode() == (
        f'v,at\r\n"",2024-02-29T00:00:00\r\n{csv},2024-02-29T00:00:00\r\nb,2024-02-29T00:00:00\r\n'
    )
    assert table.repaired == 1
