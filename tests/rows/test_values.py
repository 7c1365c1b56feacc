"""What a value is: one table for every format."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv6Network
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from encoding import encoded, encoded_until_raised

from streamkit.encoders import CsvEncoder, JsonEncoder, NdjsonEncoder, SSEEncoder


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


class Day(date):
    pass


@dataclass
class Stay:
    at: Any


WITH_SECONDS = timezone(timedelta(hours=-1, seconds=-1))


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
    # Offsets of zones in former times have seconds.
    (
        datetime(1936, 5, 1, 12, tzinfo=ZoneInfo("Europe/Amsterdam")),
        '"1936-05-01T12:00:00+00:19:32"',
        "1936-05-01T12:00:00+00:19:32",
    ),
    (
        datetime(1800, 1, 1, tzinfo=ZoneInfo("America/New_York")),
        '"1800-01-01T00:00:00-04:56:02"',
        "1800-01-01T00:00:00-04:56:02",
    ),
    (time(1, 2, 3, tzinfo=WITH_SECONDS), '"01:02:03-01:00:01"', "01:02:03-01:00:01"),
    (
        [{"a": (time(1, tzinfo=WITH_SECONDS),)}],
        '[{"a":["01:00:00-01:00:01"]}]',
        '"[{""a"":[""01:00:00-01:00:01""]}]"',
    ),
    (Stay(Day(1936, 5, 1)), '{"at":"1936-05-01"}', '"{""at"":""1936-05-01""}"'),
    (
        Stay(datetime(2024, 1, 1, tzinfo=WITH_SECONDS)),
        '{"at":"2024-01-01T00:00:00-01:00:01"}',
        '"{""at"":""2024-01-01T00:00:00-01:00:01""}"',
    ),
    (
        {datetime(2024, 1, 1, tzinfo=WITH_SECONDS): 1},
        '{"2024-01-01T00:00:00-01:00:01":1}',
        '"{""2024-01-01T00:00:00-01:00:01"":1}"',
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
    # What readers of lines may split at is escaped where it can be.
    ("a\u2028\U0001f600", '"a\\u2028\U0001f600"', "a\u2028\U0001f600"),
    ("\u2029\x85", '"\\u2029\\u0085"', '"\u2029\x85"'),
    ({"\u2028": "\xc2"}, '{"\\u2028":"\xc2"}', '"{""\\u2028"":""\xc2""}"'),
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
    (range(3), "[0,1,2]", '"[0,1,2]"'),
    (IPv4Address("127.0.0.1"), '"127.0.0.1"', "127.0.0.1"),
    (IPv6Network("::/8"), '"::/8"', "::/8"),
    (IPv4Interface("10.0.0.1/8"), '"10.0.0.1/8"', "10.0.0.1/8"),
    (PurePosixPath("a/b.txt"), '"a/b.txt"', "a/b.txt"),
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


def numpy_values() -> list[tuple[Any, str]]:
    numpy = pytest.importorskip("numpy")
    date64, span64 = numpy.datetime64, numpy.timedelta64
    return [
        (numpy.int64(1), "1"),
        (numpy.float32(0.5), "0.5"),
        (numpy.float64("nan"), "null"),
        (numpy.bool_(True), "true"),
        (numpy.str_("a"), '"a"'),
        (numpy.bytes_(b"a"), '"YQ=="'),
        (numpy.longdouble("0.5"), "0.5"),
        (numpy.longdouble("nan"), "null"),
        # The digits of one that is no float, as those of a Decimal.
        (numpy.longdouble(2**63) + 1, '"9.223372036854775809e+18"'),
        (date64("2024"), '"2024-01-01"'),
        (date64("2024-02"), '"2024-02-01"'),
        (date64("2024-02-29"), '"2024-02-29"'),
        (date64("2024-02-29", "W"), '"2024-02-29"'),
        (date64("2024-02-29T01", "h"), '"2024-02-29T01:00:00"'),
        (date64("2024-02-29T01:02:03", "25s"), '"2024-02-29T01:01:40"'),
        (date64("2024-02-29T01:02:03.4", "ms"), '"2024-02-29T01:02:03.400000"'),
        (date64("2024-02-29T01:02:03.000004005", "ns"), '"2024-02-29T01:02:03.000004005"'),
        (date64("2024-02-29T01:02:03.000004", "ns"), '"2024-02-29T01:02:03.000004"'),
        (date64("1970-01-02T00:00:00", "ps"), '"1970-01-02T00:00:00"'),
        (date64("1970-01-02T00:00:00.000000000005", "ps"), '"1970-01-02T00:00:00.000000000005"'),
        (date64("1970-01-01T00:00:00.5", "as"), '"1970-01-01T00:00:00.500000"'),
        # Years that datetime does not have.
        (date64("20240-01-01"), '"20240-01-01"'),
        (date64("20240"), '"20240-01-01"'),
        (date64("20240-01-01T05", "h"), '"20240-01-01T05:00:00"'),
        (date64("-0044-03-15"), '"-0044-03-15"'),
        (date64("NaT", "ns"), "null"),
        (span64(1_500_000_000, "ns"), '"PT1.5S"'),
        (span64(-1, "ns"), '"-PT0.000000001S"'),
        (span64(86_400_000_000_000_000, "ps"), '"P1D"'),
        (span64(10**12, "D"), '"P1000000000000D"'),
        (span64(3, "Y"), '"P3Y"'),
        (span64(-14, "M"), '"-P14M"'),
        (span64("NaT", "Y"), "null"),
        (numpy.array([1, 2]), "[1,2]"),
        (numpy.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
        (numpy.array(1.5), "1.5"),
        (numpy.array(["2024-01-01", "NaT"], "M8[ns]"), '["2024-01-01T00:00:00",null]'),
        (numpy.array([[0.5]], numpy.longdouble), "[[0.5]]"),
        (numpy.array([(1, "a")], [("n", "i4"), ("s", "U1")]), '[{"n":1,"s":"a"}]'),
        (numpy.array([1, None, "a"], object), '[1,null,"a"]'),
    ]


def pydantic_values() -> list[tuple[Any, str]]:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", at=datetime, price=Decimal, url=pydantic.HttpUrl)
    made = model(at=datetime(2024, 2, 29), price=Decimal("1.10"), url="https://example.org")

    class Pin(pydantic.Secret[int]):  # type: ignore[misc, name-defined]
        pass

    class Token(pydantic.SecretStr):  # type: ignore[misc, name-defined]
        pass

    return [
        ([made], '[{"at":"2024-02-29T00:00:00","price":"1.10","url":"https://example.org/"}]'),
        (pydantic.AnyUrl("https://example.org/a"), '"https://example.org/a"'),
        (pydantic.PostgresDsn("postgres://h/db"), '"postgres://h/db"'),
        # Secrets never in clear.
        (pydantic.SecretStr("hunter2"), '"**********"'),
        (pydantic.SecretBytes(b"hunter2"), '"**********"'),
        (pydantic.Secret[int](1234), '"**********"'),
        (Pin(1234), '"**********"'),
        (Token("hunter2"), '"**********"'),
        (pydantic.ByteSize(5), "5"),
    ]


@pytest.mark.parametrize("values", [numpy_values, pydantic_values])
def test_values_of_libraries_are_the_same_in_every_format(
    values: Callable[[], list[tuple[Any, str]]],
) -> None:
    for value, json in values():
        assert encoded(NdjsonEncoder(), [{"v": value}]).decode() == f'{{"v":{json}}}\n', value
        assert encoded(JsonEncoder(), [{"v": value}]).decode() == f'[\n{{"v":{json}}}\n]\n'
        read = msgspec.json.decode(json)
        text = json if isinstance(read, list | dict) else "" if read is None else json.strip('"')
        quoted = '"{}"'.format(text.replace('"', '""')) if '"' in text or "," in text else text
        assert encoded(CsvEncoder(), [{"n": 1, "v": value}]).decode() == f"n,v\r\n1,{quoted}\r\n"
        # An event carries it, too.
        sent = encoded(SSEEncoder(), [{"v": value}]).decode()
        assert sent == f'data: {{"v":{json}}}\n\n', value


class Range:
    """What psycopg, psycopg2 and asyncpg have for a range, as far as it is the same."""

    def __init__(self, lower: Any, upper: Any, bounds: str = "[)", isempty: bool = False) -> None:
        self.lower, self.upper, self.isempty = lower, upper, isempty
        self.lower_inc, self.upper_inc = bounds[0] == "[", bounds[1] == "]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Range(1, 5), "[1,5)"),
        (Range(None, Decimal("1.10"), "(]"), "(,1.10]"),
        (Range(date(2024, 1, 1), date(2024, 2, 1)), "[2024-01-01,2024-02-01)"),
        (
            Range(datetime(2024, 1, 1, tzinfo=UTC), None),
            "[2024-01-01T00:00:00Z,)",
        ),
        (Range("a,b", ' "'), r'["a,b"," \"")'),
        (Range(None, None, isempty=True), "empty"),
    ],
)
def test_a_range_is_as_postgresql_writes_it(value: Any, text: str) -> None:
    assert msgspec.json.decode(encoded(NdjsonEncoder(), [{"v": value}])) == {"v": text}


@pytest.mark.parametrize("key", [(1, 2), frozenset([1])])
def test_a_key_that_is_no_text_is_refused(key: Any) -> None:
    _, error = encoded_until_raised(NdjsonEncoder(), [{"a": 1}, {"a": {key: 1}}])
    assert isinstance(error, TypeError)
    assert str(error).startswith("row 2, column 'a': ")


WITHOUT_FORM = [1j, object(), ...]


@pytest.mark.parametrize("value", WITHOUT_FORM, ids=str)
def test_a_value_without_a_form_ends_neither_in_a_loop_nor_an_event_stream(value: Any) -> None:
    for encoder in (NdjsonEncoder(), JsonEncoder(), CsvEncoder()):
        _, error = encoded_until_raised(encoder, [{"a": 1}, {"a": value}])
        assert str(error).startswith("row 2, column 'a': a value of type")
    events = SSEEncoder()
    assert encoded(events, [{"v": value}, "next"]) == b": refused\ndata: next\n\n"


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
