"""Values that are one's own in each format: as JSON, in a cell of a sheet, in Parquet."""

import collections
import csv
import enum
import io
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_network
from typing import Any, Final

import numpy
import openpyxl
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

from streamkit import StreamingService


class Letter(enum.Enum):
    A = "a"


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


class Unknown:
    """As a geometry that some driver makes of its own."""


class Same:
    """In the place of what a format has as JSON has it: text as text, all else as its JSON."""


SAME: Final = Same()
MOMENT: Final = datetime(2024, 1, 1)
UNENCODABLE: Final = "a value of type .* cannot be encoded"
LARGE: Final = "a number of more than 38 digits has no type"
EAST: Final = timezone(timedelta(hours=5, minutes=45))
OLD: Final = timezone(timedelta(hours=-5, seconds=1))

VALUES: list[tuple[Any, Any, Any, Any]] = [
    # value, its JSON as Python reads it, its cell, its value in Parquet; if one is refused, what
    # the error says after the row and the column, in a tuple
    (b"\xff", "/w==", SAME, b"\xff"),
    (bytearray(b"\xff"), "/w==", SAME, b"\xff"),
    (memoryview(b"\xff"), "/w==", SAME, b"\xff"),
    (numpy.bytes_(b"\xff"), "/w==", SAME, b"\xff"),
    (numpy.array(b"\xff"), "/w==", SAME, b"\xff"),
    (numpy.void(b"\xff"), "/w==", SAME, b"\xff"),
    (Decimal("NaN"), "NaN", SAME, ("a Decimal that is NaN has no type there",)),
    (Decimal("-Infinity"), "-Infinity", SAME, ("a Decimal that is -Infinity has no type",)),
    (Decimal("1E+5"), "1E+5", 100000.0, Decimal(100000)),
    (Decimal("1E-20"), "1E-20", 1e-20, Decimal("1E-20")),
    (Decimal("1E+400"), "1E+400", SAME, (LARGE,)),
    (Decimal("-0.00"), "-0.00", -0.0, Decimal("0.00")),
    (Decimal("9" * 38), "9" * 38, SAME, Decimal("9" * 38)),
    (timedelta(-1, 1), "-PT86399S", SAME, timedelta(-1, 1)),
    (timedelta.max, "P999999999DT86399.999999S", SAME, (r"duration\[us\] does not hold",)),
    (uuid.UUID(int=5), str(uuid.UUID(int=5)), SAME, SAME),
    (ip_network("10.0.0.0/8"), "10.0.0.0/8", SAME, SAME),
    (Letter.A, "a", SAME, SAME),
    (Access.READ | Access.WRITE, 3, 3, 3),
    (numpy.float32(0.1), 0.10000000149011612, 0.10000000149011612, 0.10000000149011612),
    (numpy.uint64(2**64 - 1), 2**64 - 1, SAME, Decimal(2**64 - 1)),
    (numpy.bool_(True), True, True, True),
    (numpy.str_("x"), "x", SAME, SAME),
    (numpy.array("x"), "x", SAME, SAME),
    (numpy.longdouble("0.1"), "0.1", SAME, SAME),
    (numpy.datetime64("2024-01-01"), "2024-01-01", datetime(2024, 1, 1), date(2024, 1, 1)),
    (numpy.timedelta64("NaT"), None, None, None),
    (numpy.complex64(1j), (UNENCODABLE,), SAME, SAME),
    (pandas.NA, None, None, None),
    (pandas.NaT, None, None, None),
    (pandas.Timestamp("2024-01-01"), "2024-01-01T00:00:00", MOMENT, MOMENT),
    (pandas.Timedelta("1ns"), "PT0.000000001S", SAME, ("a time with nanoseconds",)),
    (pandas.Period("2024-01"), "2024-01", SAME, SAME),
    (pandas.Categorical(["a", "b"]), ["a", "b"], SAME, ["a", "b"]),
    (pandas.Series([1, None]), [1.0, None], SAME, [1.0, float("nan")]),
    (polars.Series([1, None]), [1, None], SAME, [1, None]),
    (pyarrow.scalar(1), 1, 1, 1),
    (pyarrow.scalar(Decimal("1.1")), "1.1", 1.1, Decimal("1.1")),
    (pyarrow.scalar(date(2024, 1, 1)), "2024-01-01", datetime(2024, 1, 1), date(2024, 1, 1)),
    (pyarrow.scalar(b"\xff"), "/w==", SAME, b"\xff"),
    (datetime(1, 1, 1), "0001-01-01T00:00:00", SAME, datetime(1, 1, 1)),
    (datetime.max, "9999-12-31T23:59:59.999999", SAME, datetime.max),
    (
        datetime(2024, 1, 1, tzinfo=EAST),
        "2024-01-01T00:00:00+05:45",
        datetime(2023, 12, 31, 18, 15),
        datetime(2023, 12, 31, 18, 15, tzinfo=UTC),
    ),
    (
        datetime(2024, 1, 1, tzinfo=OLD),
        "2024-01-01T00:00:00-04:59:59",
        datetime(2024, 1, 1, 4, 59, 59),
        datetime(2024, 1, 1, 4, 59, 59, tzinfo=UTC),
    ),
    (date.min, "0001-01-01", SAME, date.min),
    (date.max, "9999-12-31", datetime(9999, 12, 31), date.max),
    (time(1, tzinfo=UTC), "01:00:00Z", SAME, ("a time of the day with an offset",)),
    (2**53 + 1, 2**53 + 1, SAME, 2**53 + 1),
    (-(2**63) - 1, -(2**63) - 1, SAME, Decimal(-(2**63) - 1)),
    (10**100, 10**100, SAME, (LARGE,)),
    (-0.0, -0.0, -0.0, -0.0),
    (5e-324, 5e-324, 5e-324, 5e-324),
    (float("inf"), None, None, float("inf")),
    (float("nan"), None, None, float("nan")),
    (range(3), [0, 1, 2], SAME, SAME),
    ({1}, [1], SAME, SAME),
    (collections.deque([1]), [1], SAME, SAME),
    ({"a": [Decimal("1.1"), float("nan")]}, {"a": ["1.1", None]}, SAME, SAME),
    ([{"a": 1}], [{"a": 1}], SAME, ['{"a":1}']),
    ([1, "a"], [1, "a"], SAME, ("a column has one type, and this one has int64 and string",)),
    ({(1, 2): 3}, ("a mapping whose keys are of type tuple",), SAME, SAME),
    (1j, (UNENCODABLE,), SAME, SAME),
    (Unknown(), (UNENCODABLE,), SAME, SAME),
    (iter([1]), (UNENCODABLE,), SAME, SAME),
    (int, (UNENCODABLE,), SAME, SAME),
]


def read(octets: bytes, format: str) -> Any:
    match format:
        case "ndjson":
            return json.loads(octets)["v"]
        case "csv":
            return next(csv.DictReader(io.StringIO(octets.decode(), newline="")))["v"]
        case "xlsx":
            return openpyxl.load_workbook(io.BytesIO(octets)).worksheets[0].cell(2, 2).value
    return pyarrow.parquet.read_table(io.BytesIO(octets)).column("v").to_pylist()[0]


def as_text(value: Any) -> Any:
    """What csv and a sheet have of a value that JSON has no quotes for."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def plainly(value: Any) -> str:
    """What tells a value from others, those that equal it among them."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    return repr(value)


@pytest.mark.parametrize(
    ("value", "in_json", "cell", "in_parquet"),
    VALUES,
    ids=[repr(value)[:40] for value, *_ in VALUES],
)
def test_a_value_is_itself_in_every_format_or_refused(
    value: Any, in_json: Any, cell: Any, in_parquet: Any
) -> None:
    text = in_json if isinstance(in_json, tuple) else as_text(in_json)
    expected: dict[Any, Any] = {
        "ndjson": in_json,
        "csv": text or "",
        "xlsx": text if cell is SAME else cell,
        "parquet": text if in_parquet is SAME else in_parquet,
    }
    for format, wanted in expected.items():
        export = StreamingService.export("e", [{"n": 1, "v": value}], format)
        if isinstance(wanted, tuple):
            with pytest.raises((TypeError, ValueError), match=f"^row 1, column 'v': {wanted[0]}"):
                b"".join(export)
        else:
            assert plainly(read(b"".join(export), format)) == plainly(wanted)
