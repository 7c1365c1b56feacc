"""Workbooks, as their files have them: tests/exports has what other people's readers see."""

import enum
import io
import zipfile
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from encoding import encoded, encoded_until_raised
from hypothesis import given, settings
from hypothesis import strategies as st
from workbook import read_workbook

from streamkit.encoders import XlsxEncoder, xlsx


class Colour(enum.Enum):
    RED = "red"
    ONE = 1


class Whole(int):
    pass


class Moment(datetime):
    pass


EAST = timezone(timedelta(hours=2))
DAY, SECOND, PART = r"yyyy\-mm\-dd", " hh:mm:ss", ".000"

CELLS: list[tuple[Any, Any, str]] = [
    # value, what the sheet has, how it is shown
    (None, None, ""),
    (True, True, ""),
    (False, False, ""),
    (0, 0, ""),
    (-999_999_999_999_999, -999_999_999_999_999, ""),
    # Excel keeps 15 digits of a number.
    (10**15, "1000000000000000", ""),
    (2**64, "18446744073709551616", ""),
    (0.1, 0.1, ""),
    (1e300, 1e300, ""),
    (0.1 + 0.2, 0.1 + 0.2, ""),
    (float("nan"), None, ""),
    (float("inf"), None, ""),
    (Decimal("1.10"), 1.1, "0.00"),
    (Decimal("-5"), -5, ""),
    (Decimal("1E+5"), 1e5, ""),
    (Decimal("1E-30"), 1e-30, ""),
    (Decimal("123456789012345.6"), "123456789012345.6", ""),
    (Decimal("NaN"), "NaN", ""),
    (datetime(2024, 2, 29, 1, 2, 3), datetime(2024, 2, 29, 1, 2, 3), DAY + SECOND),
    (datetime(2024, 2, 29, 1, 2, 3, 4), datetime(2024, 2, 29, 1, 2, 3, 4), DAY + SECOND + PART),
    (datetime(9999, 12, 31, 1, 2, 3), datetime(9999, 12, 31, 1, 2, 3), DAY + SECOND),
    (datetime(2079, 6, 6, 0, 0, 0, 1), "2079-06-06T00:00:00.000001", ""),
    # One with an offset is shown in UTC, and says so.
    (datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 2, 29), DAY + SECOND + '"Z"'),
    (datetime(2024, 2, 29, 1, tzinfo=EAST), datetime(2024, 2, 28, 23), DAY + SECOND + '"Z"'),
    (
        datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
        datetime(2024, 2, 29, 1, 2, 3, 4),
        DAY + SECOND + PART + '"Z"',
    ),
    # To Excel there was a 29 February 1900.
    (datetime(1900, 3, 1), datetime(1900, 3, 1), DAY + SECOND),
    (datetime(1900, 2, 28), "1900-02-28T00:00:00", ""),
    (datetime(1, 1, 1, tzinfo=EAST), "0001-01-01T00:00:00+02:00", ""),
    (date(2024, 2, 29), datetime(2024, 2, 29), DAY),
    (date(1900, 3, 1), datetime(1900, 3, 1), DAY),
    (date(1900, 2, 28), "1900-02-28", ""),
    (time(1, 2, 3), timedelta(hours=1, minutes=2, seconds=3), "hh:mm:ss"),
    (time(1, 2, 3, 4), timedelta(0, 3723, 4), "hh:mm:ss.000"),
    (time(1, 2, 3, tzinfo=UTC), "01:02:03Z", ""),
    (timedelta(days=1, seconds=2), timedelta(days=1, seconds=2), "[h]:mm:ss"),
    (timedelta(days=-1), "-P1D", ""),
    (timedelta(days=2**17, microseconds=1), "P131072DT0.000001S", ""),
    (timedelta(days=2**17, seconds=1), timedelta(days=2**17, seconds=1), "[h]:mm:ss"),
    ("a", "a", ""),
    ("", "", ""),
    ("1", "1", ""),
    ("=1+1", "=1+1", ""),
    (" a\n b ", " a\n b ", ""),
    ("a\tb", "a\tb", ""),
    ("<&>\"']]>", "<&>\"']]>", ""),
    ("a\0b\r\x1f\ufffe\uffff", "a\0b\r\x1f\ufffe\uffff", ""),
    ("_x0041_ _x00e9_ _x004", "_x0041_ _x00e9_ _x004", ""),
    ("_x0041_x0042_", "_x0041_x0042_", ""),
    ("_x0041\x01", "_x0041\x01", ""),
    ("_x0041&_x0041<_x0041", "_x0041&_x0041<_x0041", ""),
    ("\U0001f600\x85\u2028", "\U0001f600\x85\u2028", ""),
    ("x" * 32_767, "x" * 32_767, ""),
    (UUID(int=5), str(UUID(int=5)), ""),
    (b"\xff\x00", "/wA=", ""),
    (Colour.RED, "red", ""),
    (Colour.ONE, 1, ""),
    (Whole(1), 1, ""),
    (Moment(2024, 2, 29), datetime(2024, 2, 29), DAY + SECOND),
    ([1, "a", None], '[1,"a",null]', ""),
    ({"a": Decimal(1)}, '{"a":"1"}', ""),
]


@pytest.mark.parametrize("beside", [[], [None], ["b", None], [1, 2.5]], ids=str)
@pytest.mark.parametrize(("value", "cell", "code"), CELLS, ids=lambda each: str(each)[:30])
def test_a_value_is_a_cell(value: Any, cell: Any, code: str, beside: list[Any]) -> None:
    rows = [{"n": 1, "v": each} for each in (value, *beside)]
    [sheet] = read_workbook(encoded(XlsxEncoder(), rows))
    assert sheet.rows[:2] == [["n", "v"], [1, cell]]
    assert type(sheet.rows[1][1]) is type(cell)
    assert sheet.codes[1][1] == code


def test_values_of_numpy_are_those_of_python() -> None:
    numpy = pytest.importorskip("numpy")
    row = [
        *(numpy.int64(1), numpy.float32(0.5), numpy.bool_(True), numpy.str_("a")),
        *(
            numpy.datetime64("2024-02-29T01", "h"),
            numpy.datetime64("NaT", "s"),
            numpy.float64("nan"),
        ),
        *(numpy.timedelta64(90, "s"), numpy.datetime64("20240-01-01"), numpy.array([1, 2])),
    ]
    [sheet] = read_workbook(encoded(XlsxEncoder(columns=[*"abcdefghij"]), [row]))
    moment, span = datetime(2024, 2, 29, 1), timedelta(seconds=90)
    assert sheet.rows[1] == [1, 0.5, True, "a", moment, None, None, span, "20240-01-01", "[1,2]"]


ROWS: dict[str, tuple[XlsxEncoder, list[Any], list[list[Any]]]] = {
    "names": (XlsxEncoder(), [{"a": 1}, {"a": 2}], [["a"], [1], [2]]),
    "no names": (XlsxEncoder(), [["a"], [1]], [["a"], [1]]),
    "of the source": (XlsxEncoder(["a"]), [[1]], [["a"], [1]]),
    "chosen": (XlsxEncoder(["a", "b"], {"b": "B"}), [[1, 2]], [["B"], [2]]),
    "lacking": (XlsxEncoder(), [{"a": 1, "b": 2}, {}], [["a", "b"], [1, 2], [None, None]]),
    "no rows": (XlsxEncoder(["a"]), [], [["a"]]),
    "nothing": (XlsxEncoder(), [], [[]]),
    "odd names": (XlsxEncoder(), [{None: 1, 2: 3, "<": 4}], [["", "2", "<"], [1, 3, 4]]),
}


@pytest.mark.parametrize(("encoder", "rows", "expected"), ROWS.values(), ids=ROWS)
def test_rows_have_a_header(encoder: XlsxEncoder, rows: list[Any], expected: Any) -> None:
    [sheet] = read_workbook(encoded(encoder, *([row] for row in rows)))
    assert sheet.rows == expected


def test_the_header_is_frozen_and_filtered_and_columns_are_as_wide_as_the_first_rows() -> None:
    rows = [{"id": n, "note": "x" * n, "long": "y" * 1000, "e": None} for n in range(99)]
    rows += [{"id": 1, "note": "z" * 1000}] * 101
    [sheet] = read_workbook(encoded(XlsxEncoder(), *([row] for row in rows)))
    assert len(sheet.rows) == 201
    assert sheet.get("sheetViews/sheetView/pane", "state") == "frozen"
    assert sheet.get("sheetViews/sheetView/pane", "ySplit") == "1"
    assert sheet.get("autoFilter", "ref") == "A1:D201"
    columns = sheet.root.find(sheet.root.tag.replace("worksheet", "cols"))
    assert columns is not None
    assert [column.get("width") for column in columns] == ["9", "60", "60", "9"]


def test_the_first_bytes_leave_with_the_first_row() -> None:
    encoder = XlsxEncoder()
    assert encoder.begin() == b""
    first = b"".join(encoder.encode([{"a": 1}]))
    assert first.startswith(b"PK\3\4")


def test_there_is_a_further_sheet_before_one_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_ROWS", 201)
    rows = [{"a": n} for n in range(450)]
    batches = [rows[start : start + 25] for start in range(0, len(rows), 25)]
    sheets = read_workbook(encoded(XlsxEncoder(), *batches))
    assert [len(sheet.rows) for sheet in sheets] == [201, 201, 51]
    assert [row for sheet in sheets for row in sheet.rows[1:]] == [[n] for n in range(450)]
    assert {sheet.rows[0][0] for sheet in sheets} == {"a"}
    assert [sheet.get("autoFilter", "ref") for sheet in sheets] == ["A1:A201", "A1:A201", "A1:A51"]


def test_a_sheet_has_no_more_bytes_than_a_member_of_the_archive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(xlsx, "MAX_BYTES", 20_000)
    rows = [{"a": "x" * 1000} for _ in range(200)]
    sheets = read_workbook(encoded(XlsxEncoder(), *([row] for row in rows)))
    assert len(sheets) > 5
    assert sum(len(sheet.rows) - 1 for sheet in sheets) == 200


REFUSED: list[tuple[Any, str]] = [
    ([{"a": 1}, {"a": 1j}], "row 2, column 'a': a value of type complex cannot be encoded"),
    ([{"a": 1}, {"a": "x" * 32_768}], "row 2, column 'a': a text of 32,768 characters does not"),
    ([{"a": 1}, {"a": "\U0001f600" * 16_384}], "row 2, column 'a': a text of 16,384 characters"),
    ([{"a": 1}, {"a": [["x" * 40_000]]}], "row 2, column 'a': a text of 40,006 characters does"),
    ([{"a": 1}, {"a": 1, "b": 2}], "row 2 has a column 'b' that is not in the header"),
    (
        [{str(n): n for n in range(16_385)}],
        "row 1: a sheet of xlsx holds 16,384 columns, and these",
    ),
]


@pytest.mark.parametrize(("rows", "message"), REFUSED, ids=lambda each: str(each)[:30])
def test_what_no_sheet_holds_breaks_the_workbook_off(rows: list[Any], message: str) -> None:
    for batches in ([rows], [[row] for row in rows]):
        body, error = encoded_until_raised(XlsxEncoder(), *batches)
        assert str(error).startswith(message)
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(body))


def test_a_lone_surrogate_is_repaired_and_its_row_counted() -> None:
    at = datetime(2024, 2, 29)
    rows = [{"v": v, "at": at} for v in ("a", "\ud800", ["\udc80"], "\ud83d\ude00", "b")]
    encoder = XlsxEncoder()
    [sheet] = read_workbook(encoded(encoder, rows))
    cells = ["a", "\ufffd", '["\ufffd"]', "\U0001f600", "b"]
    assert sheet.rows[1:] == [[cell, at] for cell in cells]
    assert encoder.repaired == 3


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.datetimes(min_value=datetime(1900, 3, 1))
    | st.text(st.sampled_from("a <&_x0041\r\n\0") | st.characters(exclude_categories=["Cs"]))
)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.lists(values, min_size=3, max_size=3), min_size=1), st.integers(1, 5))
def test_a_reader_reads_what_was_written(rows: list[list[Any]], batch: int) -> None:
    batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    [sheet] = read_workbook(encoded(XlsxEncoder(["a", "b", "c"]), *batches))
    expected = [[_kept(value) for value in row] for row in rows]
    assert sheet.rows[1:] == expected


def _kept(value: Any) -> Any:
    if type(value) is int and abs(value) >= 10**15:
        return str(value)
    # A number of days does not tell microseconds any more by then.
    is_late = type(value) is datetime and value.microsecond and value >= datetime(2079, 6, 5)
    return value.isoformat() if is_late else value
