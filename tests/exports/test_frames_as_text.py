"""Frames and tables that Arrow writes as csv and JSON, the same as their rows are."""

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb
import openpyxl
import polars
import pyarrow
import pytest
from encoding import encoded
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit import StreamingService
from streamkit.encoders import CsvEncoder, JsonEncoder, NdjsonEncoder
from streamkit.encoders.row import RowEncoder
from streamkit.rows import frames
from streamkit.rows.frames import read_frames


def body(source: Any, format: Any = "csv", **arguments: Any) -> bytes:
    return b"".join(StreamingService.export("e", source, format, **arguments))


ENCODERS: dict[Any, Callable[..., RowEncoder]] = {
    "csv": CsvEncoder,
    "json": JsonEncoder,
    "ndjson": NdjsonEncoder,
}
FORMATS = [*ENCODERS]


def by_rows(format: str, names: Sequence[str], rows: Sequence[Any]) -> bytes:
    return encoded(ENCODERS[format](columns=names), rows)


def by_arrow(format: str, frame: polars.DataFrame) -> bytes:
    """What an export is made of, without its thread."""
    batches, names = read_frames(frame) or (None, ())
    if batches is None:
        return body(frame, format)
    return encoded(ENCODERS[format](columns=names), *([batch] for batch in batches))


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
        st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)),
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


OLD = datetime(1936, 5, 1)
OLD_TEXT = "1936-05-01T00:19:32+00:19:32"
"""The same in Amsterdam, where polars has it as an hour later with that offset."""


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
        for format in FORMATS:
            assert by_arrow(format, frame) == by_rows(format, frame.columns, frame.rows())

    agrees()


@pytest.mark.parametrize(
    "character", sorted({*WHITE, *map(chr, range(32)), *'a,"\\/\x7fé'}), ids=ascii
)
def test_a_character_is_quoted_or_escaped_as_in_rows(character: str) -> None:
    for text in ("{}a", "a{}", "a{}a", "{}"):
        frame = polars.DataFrame({"n": [1], "v": [text.format(character)]})
        for format in FORMATS:
            assert by_arrow(format, frame) == by_rows(format, frame.columns, frame.rows())


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
    assert body(PLAIN, "ndjson") == (
        b'{"i":1,"x":0.1,"odd":1e300,"b":true,"s":"a","q":"a, b","d":"2024-02-29",'
        b'"at":"2024-02-29T01:02:03.000004"}\n'
        b'{"i":null,"x":null,"odd":null,"b":null,"s":null,"q":"","d":null,"at":null}\n'
    )
    titles = {"s": 'S"', "i": "I\u2028"}
    assert body(PLAIN, "json", columns=titles) == (
        b'[\n{"S\\"":"a","I\\u2028":1},\n{"S\\"":null,"I\\u2028":null}\n]\n'
    )


def test_nor_is_one_of_arrow_and_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = PLAIN.to_arrow()
    relations = [duckdb.from_arrow(plain) for _ in FORMATS]
    expected = [body(PLAIN, format) for format in FORMATS]
    monkeypatch.delattr(RowEncoder, "_encode_slice")
    assert [body(plain, format) for format in FORMATS] == expected
    assert [*map(body, relations, FORMATS)] == expected


ARRAYS = [
    pyarrow.array([1.5, None, float("nan")], pyarrow.float16()),
    pyarrow.array([0.1, None, -0.0], pyarrow.float32()),
    # Arrow has exponents from here on, and others do not.
    pyarrow.array([9_999_999_999.0, 1e10, 999_999_999_999_999.0]),
    pyarrow.array([1e16, -1e-3, 9.99e-4]),
    pyarrow.array(["a\x85", "\x1ca", "a\u3000"], pyarrow.string_view()),
    pyarrow.array(['a"', "", None], pyarrow.large_string()),
    pyarrow.array(["a,", None, "b"]).dictionary_encode(),
    pyarrow.array([1.0, None, 2.0]).dictionary_encode(),
    pyarrow.array([Decimal("0.000001"), None, Decimal("-1.1")], pyarrow.decimal128(20, 6)),
    pyarrow.array([Decimal(0), None, Decimal(-5)], pyarrow.decimal128(20, 0)),
    pyarrow.array([Decimal(0), None, Decimal("1E-9")], pyarrow.decimal128(20, 9)),
    pyarrow.array([Decimal("1E3"), None, Decimal("5E2")], pyarrow.decimal128(5, -2)),
    pyarrow.array([Decimal("1.1"), None, Decimal(5)], pyarrow.decimal256(50, 2)),
    pyarrow.array([date.min, None, date.max]),
    pyarrow.array([date(2024, 1, 1), None, date.max], pyarrow.date64()),
    pyarrow.array([datetime.min, None, datetime.max], pyarrow.timestamp("us")),
    pyarrow.array([-1, None, -1000], pyarrow.timestamp("ms")),
    pyarrow.array([1, None, -1], pyarrow.timestamp("s")),
    pyarrow.array([1, None, -1], pyarrow.timestamp("us", "UTC")),
    pyarrow.array([1, None, -1], pyarrow.timestamp("s", "Etc/UTC")),
    pyarrow.array([1, None, -1], pyarrow.timestamp("s", "+05:30")),
    pyarrow.array([-(10**9) * 2, None, -1], pyarrow.timestamp("s", "Europe/Amsterdam")),
    pyarrow.array([[("a", 1)], None, []], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    pyarrow.nulls(3),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.type)[:40])
@pytest.mark.parametrize("rows", [slice(0, 3), slice(1, 3), slice(0, 1)], ids=str)
def test_an_array_is_written_as_its_values_are(array: Any, rows: slice) -> None:
    part = array[rows]
    numbers = range(len(part))
    table = pyarrow.table({"n": numbers, "v": part})
    values = [*zip(numbers, part.to_pylist(), strict=True)]
    for format in FORMATS:
        assert body(table, format) == by_rows(format, ["n", "v"], values)


def test_a_relation_whose_values_arrow_has_otherwise_is_written_by_rows() -> None:
    relation = duckdb.sql("SELECT 1 AS n, INTERVAL 3 DAY AS i, MAP {'a': 1} AS m, '101'::BIT AS b")
    assert body(relation) == b'n,i,m,b\r\n1,P3D,"{""a"":1}",101\r\n'
    assert body(relation, "ndjson") == b'{"n":1,"i":"P3D","m":{"a":1},"b":"101"}\n'


INTEGERS = {
    "SELECT sum(x) AS v, 1 AS n FROM range(5) r(x)": b"10",
    f"SELECT '-{2**127}'::HUGEINT AS v, 1 AS n": b"-%d" % 2**127,
    f"SELECT {2**128 - 1}::UHUGEINT AS v, 1 AS n": b"%d" % (2**128 - 1),
    f"SELECT {2**64 - 1}::UBIGINT AS v, 1 AS n": b"%d" % (2**64 - 1),
}


@pytest.mark.parametrize(("query", "number"), INTEGERS.items())
def test_an_integer_of_duckdb_is_a_number_of_any_size(query: str, number: bytes) -> None:
    csv, json, ndjson = (body(duckdb.sql(query), format) for format in ("csv", "json", "ndjson"))
    assert csv == b"v,n\r\n" + number + b",1\r\n"
    assert json == b'[\n{"v":' + number + b',"n":1}\n]\n'
    assert ndjson == b'{"v":' + number + b',"n":1}\n'


TIMES = {
    "'infinity'::DATE": "9999-12-31",
    "'-infinity'::DATE": "0001-01-01",
    "'0044-03-15 (BC)'::DATE": "0044-03-15 (BC)",
    "'20000-01-01'::DATE": "20000-01-01",
    "'9999-12-31'::DATE": "9999-12-31",
    "'infinity'::TIMESTAMP": "9999-12-31T23:59:59.999999",
    "'-infinity'::TIMESTAMP_S": "0001-01-01T00:00:00",
    "'infinity'::TIMESTAMP_MS": "9999-12-31T23:59:59.999999",
    "'infinity'::TIMESTAMP_NS": "9999-12-31T23:59:59.999999",
    "'-infinity'::TIMESTAMP_NS": "0001-01-01T00:00:00",
    "'0044-03-15 (BC) 01:02:03'::TIMESTAMP": "0044-03-15 (BC) 01:02:03",
    "'9999-12-31 23:59:59'::TIMESTAMP": "9999-12-31T23:59:59",
    "'infinity'::TIMESTAMPTZ": "9999-12-31T23:59:59.999999",
    "'9999-12-31 23:30:00+00'::TIMESTAMPTZ": "9999-12-31 23:30:00+00",
    "'24:00:00'::TIME": "24:00:00",
    "'23:59:59.999999'::TIME": "23:59:59.999999",
}
"""Times of DuckDB, of which some are none to Python, and their texts."""


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("time", "text"), TIMES.items())
def test_a_time_of_duckdb_is_the_one_of_its_rows(format: str, time: str, text: str) -> None:
    kind = time.partition("::")[2]
    usual = "'12:00:00'" if kind == "TIME" else "'2024-02-29 00:00:00'"
    query = (
        f"SELECT {time} AS v, 1 AS n UNION ALL SELECT NULL, 2 UNION ALL SELECT {usual}::{kind}, 3"
    )
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Europe/Berlin'")
    rows = connection.sql(f"SELECT * FROM ({query}) ORDER BY n").fetchall()
    expected = by_rows(format, ["v", "n"], rows)
    assert text.encode() in expected
    assert body(connection.sql(f"SELECT * FROM ({query}) ORDER BY n"), format) == expected


@pytest.mark.parametrize("format", FORMATS)
def test_a_nanosecond_of_duckdb_is_kept_also_beside_a_time_without_end(format: str) -> None:
    precise = "2024-02-29T01:02:03.000000001"
    relation = duckdb.sql(
        f"SELECT unnest(['{precise}', 'infinity']::TIMESTAMP_NS[]) AS v, unnest([1, 2]) AS n"
    )
    rows = [(precise, 1), (datetime.max, 2)]
    assert body(relation, format) == by_rows(format, ["v", "n"], rows)


def test_a_time_without_end_changes_none_of_the_other_rows_of_duckdb() -> None:
    relation = duckdb.sql(
        "SELECT CASE WHEN n = 20000 THEN 'infinity'::DATE ELSE '2024-02-29'::DATE END AS v, n "
        "FROM range(40000) t(n)"
    )
    lines = body(relation).splitlines()[1:]
    assert [line for line in lines if not line.startswith(b"2024-02-29,")] == [b"9999-12-31,20000"]
    assert len(lines) == 40_000


def test_polars_is_written_where_pyarrow_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [body(PLAIN, format) for format in FORMATS]
    monkeypatch.setattr(frames, "find_spec", lambda name: None)
    assert [body(PLAIN, format) for format in FORMATS] == expected


def test_integers_that_arrow_has_no_type_for_are_columns_of_parquet() -> None:
    frame = polars.DataFrame({"v": polars.Series([2**100], dtype=polars.Int128)})
    read = polars.read_parquet(io.BytesIO(body(frame, "parquet")))
    assert read.rows() == [(Decimal(2**100),)]


@pytest.mark.parametrize("has_pyarrow", [True, False])
def test_a_time_is_the_one_that_it_is_also_where_polars_has_another_offset(
    has_pyarrow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_pyarrow:
        monkeypatch.setattr(frames, "find_spec", lambda name: None)
    frame = polars.DataFrame(
        {"n": [1, 2], "v": series(polars.Datetime("us", "Europe/Amsterdam"), [OLD, None])}
    )
    assert body(frame) == f"n,v\r\n1,{OLD_TEXT}\r\n2,\r\n".encode()
    assert body(frame, "ndjson").splitlines()[0] == f'{{"n":1,"v":"{OLD_TEXT}"}}'.encode()
    workbook = openpyxl.load_workbook(io.BytesIO(body(frame, "xlsx")))
    assert workbook.worksheets[0]["B2"].value == OLD
    precise = frame.with_columns(polars.col("v").cast(polars.Datetime("ns", "Europe/Amsterdam")))
    assert body(precise) == body(frame)


def test_a_frame_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "ROWS_AT_ONCE", 2)
    frame = polars.DataFrame({"n": range(5), "v": ["a", "b", "c,", None, ""]})
    assert body(frame) == b'n,v\r\n0,a\r\n1,b\r\n2,"c,"\r\n3,\r\n4,""\r\n'
    assert body(frame[:0]) == b"n,v\r\n"
    assert body(frame[:, :1], "json") == (
        b'[\n{"n":0},\n{"n":1},\n{"n":2},\n{"n":3},\n{"n":4}\n]\n'
    )
    assert body(frame[:0], "json") == b"[\n]\n"


FLOATS = pyarrow.array([0.5] * 20_000)
ROWS = {
    "of few columns": ([FLOATS] * 3, 16_384),
    "of many columns": ([FLOATS] * 20, 4_096),
    "with lists": ([FLOATS, pyarrow.array([[1]] * 20_000)], 1_000),
    "with times in a zone": ([pyarrow.nulls(20_000, pyarrow.timestamp("s", "Asia/Tokyo"))], 1_000),
    "of very many columns": ([FLOATS[:2]] * 90_000, 1),
}


@pytest.mark.parametrize(("columns", "rows"), ROWS.values(), ids=ROWS)
def test_a_part_is_as_long_as_takes_a_few_milliseconds(columns: list[Any], rows: int) -> None:
    table = pyarrow.RecordBatch.from_arrays(columns, names=[*map(str, range(len(columns)))])
    batches, _ = read_frames(table) or ([], ())
    lengths = [part.batch.num_rows for part in batches]
    assert sum(lengths) == len(columns[0])
    assert rows * 0.8 < max(lengths) <= rows
    assert len(lengths) <= 1.3 * sum(lengths) / rows + 1


def not_utf8(*texts: bytes) -> Any:
    """As Arrow takes it of whoever passes it: it does not look."""
    binary = pyarrow.array(texts, pyarrow.binary())
    return pyarrow.StringArray.from_buffers(len(texts), *binary.buffers()[1:])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "texts", [(b"a", b"\xed\xa0\x80"), (b"\xc3", b"\xa9")], ids=["of a surrogate", "cut in two"]
)
@pytest.mark.parametrize("is_dictionary", [False, True])
def test_text_of_arrow_that_is_not_utf_8_is_an_error(
    format: str, texts: tuple[bytes, ...], is_dictionary: bool
) -> None:
    array = not_utf8(*texts)
    column = array.dictionary_encode() if is_dictionary else array
    table = pyarrow.table({"n": range(2), "v": column})
    with pytest.raises(UnicodeDecodeError):
        body(table, format)


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
    assert body(frame.to_arrow()) == body(frame)
    assert body(frame.to_arrow(), "ndjson") == body(frame, "ndjson")


def test_a_time_of_the_day_to_the_second_is_a_value() -> None:
    frame = polars.DataFrame({"n": [1], "v": [time(1, 2, 3)]})
    assert body(frame) == b"n,v\r\n1,01:02:03\r\n"


LOADED = """
import sys
import polars
from streamkit import StreamingService

frame = polars.DataFrame({"n": [1, None], "x": [1.0, None], "b": [True, None], "s": ["a,", None]})
for format in ("csv", "ndjson"):
    print(b"".join(StreamingService.export("e", frame, format)).count(b"\\n"))
print("pandas" in sys.modules)
"""


def test_pandas_is_not_imported_for_what_is_none_of_its_frames() -> None:
    """As pyarrow does, if it is given a value of Python's; it takes a second."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3", "2", "False"]
