"""Frames of polars write csv themselves, and the same as their rows are."""

import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars
import pytest
from encoding import encoded
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit import StreamingService
from streamkit.encoders import CsvEncoder
from streamkit.encoders.row import RowEncoder
from streamkit.rows import frames


def body(source: Any, format: Any = "csv", **arguments: Any) -> bytes:
    return b"".join(StreamingService.export("e", source, format, **arguments))


def by_rows(frame: polars.DataFrame) -> bytes:
    return encoded(CsvEncoder(columns=frame.columns), frame.rows())


WHITE = [chr(code) for code in range(sys.maxunicode) if chr(code).isspace()]

texts = st.text(
    st.sampled_from('a \\,";\r\n\t\0[]{}:' + "".join(WHITE))
    | st.characters(exclude_categories=["Cs"])
)
moments = st.datetimes()
SERIES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (polars.Int64, st.integers(-(2**63), 2**63 - 1)),
    (polars.UInt64, st.integers(0, 2**64 - 1)),
    (polars.Int8, st.integers(-128, 127)),
    (polars.Int128, st.integers(-(2**100), 2**100)),
    (polars.Boolean, st.booleans()),
    (polars.Float64, st.floats() | st.floats(1e-4, 1e17) | st.integers(-(2**60), 2**60).map(float)),
    (polars.Float64, st.floats(1e-3, 1e15, exclude_max=True)),
    (polars.Float32, st.floats(width=32)),
    (polars.String, texts),
    (polars.String, st.text("abc é", min_size=1).map(str.strip).filter(bool)),
    (polars.Categorical, st.sampled_from(["a", "b,", " c", ""])),
    (polars.Date, st.dates()),
    (polars.Datetime("us"), moments),
    (polars.Datetime("us"), moments.map(lambda moment: moment.replace(microsecond=0))),
    (
        polars.Datetime("ms"),
        moments.map(lambda each: each.replace(microsecond=each.microsecond // 1000 * 1000)),
    ),
    (polars.Datetime("ns"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),
    (polars.Datetime("us", "UTC"), moments),
    (
        polars.Datetime("us", "Europe/Amsterdam"),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    ),
    (polars.Time, st.times()),
    (polars.Duration("us"), st.timedeltas(timedelta(-9999), timedelta(9999))),
    (polars.Decimal(20, 2), st.decimals(-(10**9), 10**9, places=2)),
    (polars.Binary, st.binary()),
    (polars.List(polars.Int64), st.lists(st.integers(0, 9))),
    (polars.List(polars.String), st.lists(texts)),
    (polars.Null, st.none()),
    (polars.Object, st.sampled_from([UUID(int=5), Decimal("1.1"), "a,"])),
]


def series(kind: Any, values: list[Any]) -> polars.Series:
    zone = getattr(kind, "time_zone", None)
    if zone is None:
        return polars.Series(values, dtype=kind, strict=False)
    naive = polars.Series(values, dtype=polars.Datetime("us"))
    return naive.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


@pytest.mark.parametrize(("kind", "values"), SERIES, ids=lambda each: str(each)[:40])
def test_a_frame_is_written_as_its_rows_are(kind: Any, values: st.SearchStrategy[Any]) -> None:
    @settings(derandomize=True, deadline=None, database=None)
    @given(st.lists(st.none() | values, min_size=1, max_size=12))
    def agrees(column: list[Any]) -> None:
        made = series(kind, column)
        frame = polars.DataFrame({"n": polars.Series(range(len(column))), 'v"': made})
        assert body(frame) == by_rows(frame)

    agrees()


@pytest.mark.parametrize("character", ["a", *WHITE, ",", '"', "\\", "\0"], ids=ascii)
@pytest.mark.parametrize("text", ["{}a", "a{}", "a{}a", "{}"])
def test_white_space_is_quoted_as_in_rows(character: str, text: str) -> None:
    frame = polars.DataFrame({"n": [1], "v": [text.format(character)]})
    assert body(frame) == by_rows(frame)


PLAIN = polars.DataFrame(
    {
        "i": [1, None],
        "x": [0.1, None],
        "odd": [1e300, float("nan")],
        "b": [True, None],
        "s": ["a", None],
        "q": ["a, b", ""],
        "d": [date(2024, 2, 29), None],
        "at": [datetime(2024, 2, 29, 1, 2, 3, 4), None],
    }
)


def test_no_value_of_the_usual_types_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(RowEncoder, "_encode_slice")
    assert body(PLAIN) == (
        b"i,x,odd,b,s,q,d,at\r\n"
        b'1,0.1,1e300,true,a,"a, b",2024-02-29,2024-02-29T01:02:03.000004\r\n'
        b',,,,,"",,\r\n'
    )
    assert body(PLAIN, columns={"s": "S", "i": "I"}) == b"S,I\r\na,1\r\n,\r\n"


def test_a_frame_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "ROWS_AT_ONCE", 2)
    frame = polars.DataFrame({"n": range(5), "v": ["a", "b", "c,", None, ""]})
    assert body(frame) == b'n,v\r\n0,a\r\n1,b\r\n2,"c,"\r\n3,\r\n4,""\r\n'
    assert body(frame[:0]) == b"n,v\r\n"


def test_a_null_in_a_frame_of_one_column_is_quoted() -> None:
    assert body(polars.DataFrame({"v": ["a", None, ""]})) == b'v\r\na\r\n""\r\n""\r\n'


def test_an_object_without_a_form_is_told_with_its_row() -> None:
    frame = polars.DataFrame({"n": [1, 2], "v": polars.Series([1, 1j], dtype=polars.Object)})
    with pytest.raises(TypeError, match=r"^row 2, column 'v': a value of type complex"):
        body(frame)


NANOSECONDS: list[tuple[Callable[[], polars.Series], str]] = [
    (
        lambda: polars.Series([10**9 + 5], dtype=polars.Int64).cast(polars.Datetime("ns")),
        "1970-01-01T00:00:01.000000005",
    ),
    (
        lambda: polars.Series([-1], dtype=polars.Int64).cast(polars.Datetime("ns", "UTC")),
        "1969-12-31T23:59:59.999999999Z",
    ),
    (
        lambda: polars.Series([5], dtype=polars.Int64).cast(polars.Datetime("ns", "Asia/Tokyo")),
        "1970-01-01T09:00:00.000000005+09:00",
    ),
    (lambda: polars.Series([5], dtype=polars.Int64).cast(polars.Time), "00:00:00.000000005"),
    (
        lambda: polars.Series([-5], dtype=polars.Int64).cast(polars.Duration("ns")),
        "-PT0.000000005S",
    ),
]


@pytest.mark.parametrize(("make", "text"), NANOSECONDS)
def test_nanoseconds_are_kept(make: Callable[[], polars.Series], text: str) -> None:
    frame = polars.DataFrame({"n": [1], "v": make()})
    assert body(frame) == f"n,v\r\n1,{text}\r\n".encode()
    assert body(frame, "ndjson") == f'{{"n":1,"v":"{text}"}}\n'.encode()
    assert body(frame[:, 1:]) == f"v\r\n{text}\r\n".encode()


def test_a_time_of_the_day_to_the_second_is_a_value() -> None:
    frame = polars.DataFrame({"n": [1], "v": [time(1, 2, 3)]})
    assert body(frame) == b"n,v\r\n1,01:02:03\r\n"
