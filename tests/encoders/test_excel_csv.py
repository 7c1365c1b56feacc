"""csv that Excel opens by a double click."""

import csv
import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy
import pytest
from encoding import encoded
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.encoders import DecimalCommaCsvEncoder, ExcelCsvEncoder


class Half(float, Enum):
    HALF = 0.5


class Ratio(Enum):
    THIRD = Decimal("0.3")


class Real(float):
    pass


MARK = b"\xef\xbb\xbf"

CELLS: list[tuple[Any, str, str]] = [
    # value, where the decimal is a point, where it is a comma
    (None, "", ""),
    (1, "1", "1"),
    (True, "true", "true"),
    (-1.5, "-1.5", "-1,5"),
    (float("nan"), "", ""),
    (Decimal("1.10"), "1.10", "1,10"),
    (datetime(2024, 2, 29, 1, 2, 3), "2024-02-29 01:02:03", "2024-02-29 01:02:03"),
    (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
    # Whatever class they are of.
    (Half.HALF, "0.5", "0,5"),
    (Real(-1.5), "-1.5", "-1,5"),
    (Ratio.THIRD, "0.3", "0,3"),
    (numpy.float64(1.5), "1.5", "1,5"),
    (numpy.float32(0.5), "0.5", "0,5"),
    (numpy.longdouble(0.5), "0.5", "0,5"),
    (numpy.array(1.5), "1.5", "1,5"),
    (numpy.datetime64("2024-02-29T01:02:03"), "2024-02-29 01:02:03", "2024-02-29 01:02:03"),
    (numpy.datetime64("NaT", "s"), "", ""),
    (numpy.int64(-1), "-1", "-1"),
    (date(2024, 2, 29), "2024-02-29", "2024-02-29"),
    (time(1, 2, 3), "01:02:03", "01:02:03"),
    ("a,b", '"a,b"', "a,b"),
    ("a;b", "a;b", '"a;b"'),
    ("1.5", "1.5", "1.5"),
    ("", '""', '""'),
    ([1.5, 2], '"[1.5,2]"', "[1.5,2]"),
    # What Excel would run.
    ("=1+1", "'=1+1", "'=1+1"),
    ("@SUM(A1)", "'@SUM(A1)", "'@SUM(A1)"),
    ("-12.5", "-12.5", "-12.5"),
]


@pytest.mark.parametrize("beside", [[], [None], ["b"], [1, 2.5]], ids=str)
@pytest.mark.parametrize(("value", "point", "comma"), CELLS)
def test_a_cell_is_one_that_excel_reads(
    value: Any, point: str, comma: str, beside: list[Any]
) -> None:
    rows = [{"n": 1, "v": each} for each in (value, *beside)]
    body = encoded(ExcelCsvEncoder(), rows)
    assert body.startswith(MARK + f"n,v\r\n1,{point}\r\n".encode())
    body = encoded(DecimalCommaCsvEncoder(), rows)
    assert body.startswith(MARK + f"n;v\r\n1;{comma}\r\n".encode())


def test_the_mark_is_there_once_and_without_rows_too() -> None:
    assert encoded(ExcelCsvEncoder()) == MARK
    assert encoded(ExcelCsvEncoder(columns=["a"])) == MARK + b"a\r\n"
    assert encoded(ExcelCsvEncoder(), [{"a": 1}], [{"a": 2}]) == MARK + b"a\r\n1\r\n2\r\n"
    assert encoded(ExcelCsvEncoder(str), ["x"]) == MARK + b"x\n"


texts = st.text(st.sampled_from('a ",;\r\n\t\u00e9') | st.characters(exclude_categories=["Cs"]))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(texts, st.none() | texts), min_size=1))
@pytest.mark.parametrize("encoder", [ExcelCsvEncoder, DecimalCommaCsvEncoder])
def test_a_reader_reads_what_was_written(encoder: Any, rows: list[Any]) -> None:
    body = encoded(encoder(columns=["a", "b"]), rows).decode("utf-8-sig")
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=encoder.delimiter, strict=True)
    read = [[text.removeprefix("'") for text in row] for row in reader]
    assert read[1:] == [[(text or "").removeprefix("'") for text in row] for row in rows]
