"""Workbooks, by other people's readers."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import openpyxl
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from python_calamine import CalamineWorkbook

from streamkit import StreamingService


def body(source: Any, **arguments: Any) -> bytes:
    return b"".join(StreamingService.export("e", source, "xlsx", **arguments))


def by_openpyxl(workbook: bytes) -> list[list[Any]]:
    opened = openpyxl.load_workbook(io.BytesIO(workbook), read_only=True)
    # It leaves the escapes of characters to whoever reads.
    return [
        [unescape(cell) if isinstance(cell, str) else cell for cell in row]
        for row in opened.worksheets[0].iter_rows(values_only=True)
    ]


def by_calamine(workbook: bytes) -> list[list[Any]]:
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(workbook)).get_sheet_by_index(0)
    return sheet.to_python()


READERS = pytest.mark.parametrize("read", [by_openpyxl, by_calamine])

ROW = {
    "int": 1,
    "long": 2**60,
    "float": 1.5,
    "decimal": Decimal("1.10"),
    "bool": True,
    "moment": datetime(2024, 2, 29, 1, 2, 3),
    "utc": datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC),
    "day": date(2024, 2, 29),
    "clock": time(1, 2, 3),
    "span": timedelta(days=1, seconds=5),
    "text": "=1+1",
    "digits": "007",
    "list": [1, "a"],
    "null": None,
}


@READERS
def test_readers_see_numbers_times_and_text(read: Any) -> None:
    header, row = read(body([ROW]))
    assert header == [*ROW]
    seen = dict(zip(header, row, strict=True))
    moment = datetime(2024, 2, 29, 1, 2, 3)
    assert (seen["int"], seen["long"], seen["float"]) == (1, str(2**60), 1.5)
    assert (seen["decimal"], seen["bool"]) == (1.1, True)
    assert (seen["moment"], seen["utc"]) == (moment, moment)
    assert seen["day"] in (date(2024, 2, 29), datetime(2024, 2, 29))
    assert (seen["clock"], seen["span"]) == (time(1, 2, 3), timedelta(days=1, seconds=5))
    assert (seen["text"], seen["digits"], seen["list"]) == ("=1+1", "007", '[1,"a"]')
    assert not seen["null"]


@READERS
def test_readers_agree_on_texts(read: Any) -> None:
    texts = st.text(
        st.sampled_from("a <>&_x0041\t\r\n\0\x1f\ufffe\uffff\U0001f600")
        | st.characters(exclude_categories=["Cs"])
    )

    @settings(derandomize=True, deadline=None, database=None)
    @given(st.lists(st.lists(texts, min_size=2, max_size=2), min_size=1))
    def agrees(rows: list[list[str]]) -> None:
        seen = read(body([{"n": 1, "a": a, "b": b} for a, b in rows]))[1:]
        # A reader may have nothing where a text is empty.
        assert [[a or "", b or ""] for _, a, b in seen] == rows

    agrees()


def test_frames_are_read_back() -> None:
    frame = pandas.DataFrame(
        {
            "n": [1, 2],
            "x": [0.5, None],
            "s": ["a", "b"],
            "at": pandas.to_datetime(["2024-02-29 01:02:03", "2025-01-01 00:00:00"]),
        }
    )
    workbook = io.BytesIO(body(frame))
    for engine in ("openpyxl", "calamine"):
        read = pandas.read_excel(workbook, engine=engine)
        pandas.testing.assert_frame_equal(read, frame, check_dtype=False)
    read_back = polars.read_excel(workbook)
    assert read_back["n"].to_list() == [1, 2]
    assert read_back["at"].to_list() == [datetime(2024, 2, 29, 1, 2, 3), datetime(2025, 1, 1)]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_no_reader_takes_a_part_for_the_whole(part: float) -> None:
    whole = body({"n": n, "s": f"row {n}"} for n in range(1000))
    cut = whole[: int(len(whole) * part)]
    for read in (by_openpyxl, by_calamine, lambda each: polars.read_excel(io.BytesIO(each))):
        with pytest.raises(Exception, match="(?i)zip|eocd|central|directory|file format"):
            read(cut)
