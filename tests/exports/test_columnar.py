"""Parquet files and streams of Arrow, by other people's readers."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import duckdb
import numpy
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
from encoding import encoded, encoded_until_raised
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit import StreamingService
from streamkit.encoders.columnar import ArrowEncoder, ColumnarEncoder, ParquetEncoder
from streamkit.rows import records

FORMATS = pytest.mark.parametrize("format", ["arrow", "parquet"])
ENCODERS = pytest.mark.parametrize("encoder", [ArrowEncoder, ParquetEncoder])


def body(source: Any, format: Any, **arguments: Any) -> bytes:
    return b"".join(StreamingService.export("e", source, format, **arguments))


def table(octets: bytes) -> pyarrow.Table:
    """The table that the body of either format has."""
    if octets.startswith(b"PAR1"):
        return pyarrow.parquet.read_table(io.BytesIO(octets))
    return pyarrow.ipc.open_stream(octets).read_all()


Read = Callable[[bytes], list[dict[str, Any]]]


def by_polars(octets: bytes) -> list[dict[str, Any]]:
    if octets.startswith(b"PAR1"):
        return polars.read_parquet(io.BytesIO(octets)).to_dicts()
    return polars.read_ipc_stream(io.BytesIO(octets)).to_dicts()


def by_pandas(octets: bytes) -> list[dict[str, Any]]:
    if octets.startswith(b"PAR1"):
        frame = pandas.read_parquet(io.BytesIO(octets), dtype_backend="pyarrow")
    else:
        frame = table(octets).to_pandas(types_mapper=pandas.ArrowDtype)
    read: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return read


def by_duckdb(octets: bytes) -> list[dict[str, Any]]:
    if octets.startswith(b"PAR1"):
        # It reads files by name alone.
        source = pyarrow.parquet.ParquetFile(io.BytesIO(octets)).read()
    else:
        source = pyarrow.ipc.open_stream(octets)
    found = duckdb.from_arrow(source)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


READERS = pytest.mark.parametrize("read", [by_polars, by_pandas, by_duckdb])

OLD = datetime(1936, 5, 1, 12, tzinfo=ZoneInfo("Europe/Amsterdam"))
EAST = timezone(timedelta(hours=2))


class Whole(int):
    pass


VALUES: list[tuple[Any, str, Any]] = [
    # value, its type, what a reader sees
    (None, "null", None),
    (True, "bool", True),
    (1, "int64", 1),
    (-(2**63), "int64", -(2**63)),
    (2**64, "decimal128(38, 0)", Decimal(2**64)),
    (0.1, "double", 0.1),
    (float("inf"), "double", float("inf")),
    (Decimal("1.10"), "decimal128(38, 2)", Decimal("1.10")),
    (datetime(2024, 2, 29, 1, 2, 3, 4), "timestamp[us]", datetime(2024, 2, 29, 1, 2, 3, 4)),
    (datetime(1, 1, 1), "timestamp[us]", datetime(1, 1, 1)),
    (OLD, "timestamp[us, tz=UTC]", datetime(1936, 5, 1, 11, 40, 28, tzinfo=UTC)),
    (
        datetime(2024, 1, 1, tzinfo=EAST),
        "timestamp[us, tz=UTC]",
        datetime(2023, 12, 31, 22, tzinfo=UTC),
    ),
    (date(2024, 2, 29), "date32[day]", date(2024, 2, 29)),
    (time(1, 2, 3, 4), "time64[us]", time(1, 2, 3, 4)),
    (timedelta(-1, 1, 1), "duration[us]", timedelta(-1, 1, 1)),
    ("a\0\u2028\U0001f600", "string", "a\0\u2028\U0001f600"),
    ("", "string", ""),
    ("\ud800", "string", "\ufffd"),
    (UUID(int=5), "string", str(UUID(int=5))),
    (b"\xff\x00", "binary", b"\xff\x00"),
    (bytearray(b"a"), "binary", b"a"),
    ([1, None], "list<item: int64>", [1, None]),
    ((1, 2.5), "list<item: double>", [1.0, 2.5]),
    ([], "list<item: null>", []),
    ({"a": [1]}, "string", '{"a":[1]}'),
    (Whole(1), "int64", 1),
    (numpy.int64(1), "int64", 1),
    (numpy.float32(0.5), "double", 0.5),
    (numpy.datetime64("2024-02-29T01", "h"), "timestamp[us]", datetime(2024, 2, 29, 1)),
    (numpy.array([1, 2]), "list<item: int64>", [1, 2]),
    (pandas.NA, "null", None),
    (pandas.NaT, "null", None),
    (pandas.Timestamp("2024-02-29"), "timestamp[us]", datetime(2024, 2, 29)),
]


@FORMATS
@pytest.mark.parametrize(("value", "kind", "seen"), VALUES, ids=lambda each: str(each)[:30])
def test_a_value_has_a_type(format: str, value: Any, kind: str, seen: Any) -> None:
    read = table(body([{"n": 1, "v": value}, {"n": 2}], format, columns=["n", "v"]))
    found = read.schema.field("v").type
    # Parquet names the item of a list by its own rule.
    assert str(found).replace("element:", "item:") == kind
    assert read.column("v").to_pylist() == [seen, None]


@FORMATS
@READERS
def test_readers_agree(format: str, read: Read) -> None:
    rows = [
        {"i": 1, "x": 0.5, "d": Decimal("1.10"), "s": "a", "b": True, "at": datetime(2024, 2, 29)},
        {"i": None, "x": None, "d": None, "s": None, "b": None, "at": None},
    ]
    assert read(body(rows, format)) == rows


@FORMATS
def test_what_was_written_is_read(format: str) -> None:
    columns = st.sampled_from(
        [
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.booleans(),
            st.datetimes(),
            st.dates(),
            st.times(),
            st.binary(),
            st.lists(st.integers(-(2**63), 2**63 - 1)),
            st.decimals(-(10**10), 10**10, places=3),
        ]
    )
    tables = st.lists(columns, min_size=1, max_size=4).flatmap(
        lambda cells: st.lists(st.tuples(*(st.none() | cell for cell in cells)), min_size=1)
    )

    @settings(derandomize=True, deadline=None, database=None)
    @given(tables, st.integers(1, 5))
    def agrees(rows: list[tuple[Any, ...]], batch: int) -> None:
        names = [f"c{index}" for index in range(len(rows[0]))]
        encoder = (ArrowEncoder if format == "arrow" else ParquetEncoder)(names)
        batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
        read = table(encoded(encoder, *batches))
        assert [tuple(row.values()) for row in read.to_pylist()] == rows

    agrees()


WIDENED: list[tuple[list[Any], str, list[Any]]] = [
    ([1, 2.5], "double", [1.0, 2.5]),
    ([None, 1], "int64", [None, 1]),
    ([1, Decimal("1.5")], "decimal128(38, 1)", [Decimal("1.0"), Decimal("1.5")]),
    ([Decimal("1.5"), Decimal("1.25")], "decimal128(38, 2)", [Decimal("1.50"), Decimal("1.25")]),
    ([1, 2**64], "decimal128(38, 0)", [Decimal(1), Decimal(2**64)]),
    ([[1], [2.5]], "list<item: double>", [[1.0], [2.5]]),
]


@ENCODERS
@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize(("column", "kind", "seen"), WIDENED, ids=str)
def test_types_widen_within_the_first_group(
    encoder: Any, column: list[Any], kind: str, seen: list[Any], batched: bool
) -> None:
    rows = [{"v": value} for value in column]
    read = table(encoded(encoder(), *([rows] if batched else [[row] for row in rows])))
    assert str(read.schema.field("v").type).replace("element:", "item:") == kind
    assert read.column("v").to_pylist() == seen


REFUSED: list[tuple[list[Any], str]] = [
    ([1, "a"], "a column has one type, and this one has "),
    ([True, 1], "a column has one type, and this one has "),
    ([date(2024, 1, 1), datetime(2024, 1, 1)], "a column has one type, and this one has "),
    ([1.5, Decimal("1.5")], "a column has one type, and this one has "),
    ([datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)], "a column has one type, and this"),
    ([1, 1j], "a value of type complex cannot be encoded"),
    ([Decimal(1), Decimal("1." + "1" * 38)], "a number of more than 38 digits has no type"),
    ([1, 10**38], "a number of more than 38 digits has no type"),
    ([1, 10**90], "a number of more than 38 digits has no type"),
    ([Decimal(1), Decimal("NaN")], "a Decimal that is NaN has no type there"),
    ([time(1), time(1, tzinfo=UTC)], "a time of the day with an offset has no type there"),
    ([None, pandas.Timestamp("2024-01-01T00:00:00.000000001")], "a time with nanoseconds, 2024-01"),
]


@ENCODERS
@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize(("column", "message"), REFUSED, ids=str)
def test_a_value_of_another_type_is_refused_by_row_and_column(
    encoder: Any, column: list[Any], message: str, batched: bool
) -> None:
    rows = [{"n": 1, "v": value} for value in column]
    batches = [rows] if batched else [[row] for row in rows]
    octets, error = encoded_until_raised(encoder(), *batches)
    assert str(error).startswith(f"row 2, column 'v': {message}")
    with pytest.raises((pyarrow.ArrowInvalid, OSError)):
        table(octets)


LATER: list[tuple[Any, Any, str]] = [
    (1, 2.5, "a column has one type, which is int64 for this one, got double"),
    (1, "a", "a column has one type, and this one has int64 and string"),
    (None, 1, "a column has one type, which is null for this one, got int64: its first rows"),
    (1.5, 2**60 + 1, "double does not hold a value as it is: "),
    (Decimal("1.5"), Decimal("1.25"), "decimal128(38, 1) does not hold a value as it is: "),
    (Decimal("1.5"), 10**37, "decimal128(38, 1) does not hold a value as it is: "),
]


@ENCODERS
@pytest.mark.parametrize(("first", "later", "message"), LATER)
def test_a_value_after_the_first_group_keeps_its_type(
    encoder: Any, first: Any, later: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "group_rows", 10)
    batches = [[{"v": first}] * 5] * 4 + [[{"v": first}, {"v": later}]]
    _, error = encoded_until_raised(encoder(), *batches)
    assert str(error).startswith(f"row 22, column 'v': {message}")


@ENCODERS
def test_a_decimal_after_the_first_group_may_have_more_places_that_are_zeros(
    encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "group_rows", 1)
    batches = [[{"v": value}] for value in (Decimal("1.5"), Decimal("2.500"), 3)]
    read = table(encoded(encoder(), *batches))
    assert read.column("v").to_pylist() == [Decimal("1.5"), Decimal("2.5"), Decimal(3)]


@ENCODERS
@pytest.mark.parametrize("rows", [3, 100])
def test_an_integer_that_no_float_is_may_not_have_come_before_one(
    encoder: Any, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is seen when the first group is whole, or at the end."""
    monkeypatch.setattr(encoder, "group_rows", rows)
    _, error = encoded_until_raised(encoder(), [{"v": 1}, {"v": 2**60 + 1}], [{"v": 1.5}])
    assert str(error).startswith("row 2, column 'v': double does not hold a value as it is")


COUNT = 200_000
COLUMNS = {"n": range(COUNT), "s": [None if n % 3 else f"row {n}" for n in range(COUNT)]}


def duckdb_relation() -> Any:
    rows = pyarrow.table(COLUMNS)
    made = duckdb.connect().from_arrow(rows)
    assert rows.num_rows == COUNT
    return made


TABLES: list[Callable[[], Any]] = [
    lambda: pyarrow.table(COLUMNS),
    lambda: pyarrow.RecordBatch.from_pydict(COLUMNS),
    lambda: pyarrow.table(COLUMNS).to_reader(max_chunksize=7000),
    lambda: polars.DataFrame(COLUMNS),
    lambda: pandas.DataFrame(COLUMNS),
    duckdb_relation,
]


@FORMATS
@pytest.mark.parametrize("make", TABLES)
def test_a_table_is_exported_without_a_step_for_a_row(
    make: Callable[[], Any], format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(ColumnarEncoder, "_write")
    read = table(body(make(), format))
    assert read.to_pydict() == {**COLUMNS, "n": [*COLUMNS["n"]]}
    titled = table(body(make(), format, columns={"s": "Text", "n": "Number"}))
    assert titled.column_names == ["Text", "Number"]
    assert titled.num_rows == COUNT
    source = make()
    if hasattr(source, "head"):
        assert table(body(source.head(0), format)).column_names == ["n", "s"]


@FORMATS
def test_a_frame_of_pandas_has_the_types_of_all_its_rows_and_no_index(
    format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "ROWS_AT_ONCE", 2)
    frame = pandas.DataFrame(
        {"a": [None, None, "x"], 1: pandas.array([1, None, 3], dtype="Int64"), "f": [1.5, None, 2]},
        index=[7, 8, 9],
    )
    read = table(body(frame, format))
    assert read.to_pydict() == {"a": [None, None, "x"], "1": [1, None, 3], "f": [1.5, None, 2.0]}


@FORMATS
def test_an_unknown_column_of_a_frame_is_refused_at_the_call(format: Any) -> None:
    with pytest.raises(ValueError, match="columns must be among those of rows, got 'z': 'a'"):
        StreamingService.export("e", pandas.DataFrame({"a": [1]}), format, columns=["z"])


EMPTY: list[Callable[[], Any]] = [
    lambda: pyarrow.table({"n": pyarrow.array([], "int64"), "s": pyarrow.array([], "string")}),
    lambda: pyarrow.RecordBatch.from_pydict({"n": [1], "s": ["a"]}).slice(1),
    lambda: pyarrow.table({"n": [1], "s": ["a"]})[:0].to_reader(),
    lambda: polars.DataFrame(schema={"n": polars.Int64, "s": polars.String}),
    lambda: pandas.DataFrame({"n": [1], "s": pandas.array(["a"], dtype="string")})[:0],
    lambda: duckdb.sql("SELECT 1::BIGINT AS n, 'a' AS s WHERE 1 = 0"),
]


@FORMATS
@pytest.mark.parametrize("make", EMPTY)
def test_a_table_without_rows_has_its_types(make: Callable[[], Any], format: Any) -> None:
    read = table(body(make(), format))
    assert read.num_rows == 0
    assert [str(kind).removeprefix("large_") for kind in read.schema.types] == ["int64", "string"]
    assert table(body(make(), format, columns={"s": "Text"})).column_names == ["Text"]


@FORMATS
def test_a_frame_of_pandas_that_arrow_does_not_take_is_read_by_its_values(format: Any) -> None:
    def frame(*values: Any) -> pandas.DataFrame:
        return pandas.DataFrame({"n": 1, "v": pandas.Series([*values], dtype=object)})

    assert table(body(frame("a", "\ud800"), format)).column("v").to_pylist() == ["a", "\ufffd"]
    assert table(body(frame(2**64), format)).column("v").to_pylist() == [Decimal(2**64)]
    titled = table(body(frame(IPv4Address(5)), format, columns={"v": "V"}))
    assert titled.to_pydict() == {"V": ["0.0.0.5"]}
    for second, message in (("a", "a column has one type"), (1j, "a value of type complex")):
        with pytest.raises((TypeError, ValueError), match=f"^row 2, column 'v': {message}"):
            body(frame(1, second), format)


@FORMATS
def test_the_objects_of_a_frame_of_polars_are_read_as_those_of_rows(format: Any) -> None:
    frame = polars.DataFrame(
        {"u": polars.Series([UUID(int=5), None], dtype=polars.Object), "n": [1, 2]}
    )
    read = table(body(frame, format))
    assert read.to_pydict() == {"u": [str(UUID(int=5)), None], "n": [1, 2]}


@FORMATS
def test_serialize_is_refused(format: Any) -> None:
    with pytest.raises(ValueError, match=f"{format} has no rows of text"):
        StreamingService.export("e", [], format, serialize=str)


@FORMATS
def test_no_rows_are_a_whole(format: Any) -> None:
    assert table(body([], format)).num_columns == 0
    assert table(body([], format, columns=["a"])).column_names == ["a"]


@ENCODERS
def test_the_first_bytes_leave_with_the_first_row(encoder: Any) -> None:
    made = encoder()
    assert made.begin() == b""
    assert b"".join(made.encode([{"a": 1}])) == encoder.opening
    whole = encoder.opening + made.end()
    assert table(whole).to_pylist() == [{"a": 1}]


def test_no_reader_takes_a_part_of_an_arrow_stream_for_the_whole() -> None:
    chunks: list[bytes] = []
    encoder = ArrowEncoder()
    for start in range(0, 30_000, 1000):
        rows = [{"n": n, "s": f"row {n}"} for n in range(start, start + 1000)]
        chunks += encoder.encode(rows)
    assert table(b"".join([*chunks, encoder.end()])).num_rows == 30_000
    # What is sent before the end, however much of it.
    for count in range(1, len(chunks) + 1):
        part = b"".join(chunks[:count])
        for read in (by_polars, by_pandas, by_duckdb):
            with pytest.raises(Exception, match="(?i)expected|eof|invalid|end|corrupted|buffer"):
                read(part)


def test_a_part_of_a_parquet_file_is_none(tmp_path: Path) -> None:
    whole = body(({"n": n} for n in range(200_000)), "parquet")
    assert pyarrow.parquet.ParquetFile(io.BytesIO(whole)).num_row_groups == 2
    file = tmp_path / "e.parquet"
    for part in (0.1, 0.5, 0.99):
        file.write_bytes(whole[: int(len(whole) * part)])
        for read in (pyarrow.parquet.read_table, polars.read_parquet, pandas.read_parquet):
            with pytest.raises(Exception, match="(?i)magic|specification|invalid|corrupt"):
                read(file)
        with pytest.raises(duckdb.Error, match="No magic bytes"):
            duckdb.read_parquet(str(file))


@FORMATS
def test_it_is_compressed_by_itself(format: Any) -> None:
    response = StreamingService.export("e", [{"a": 1}], format)
    assert response.headers["Content-Disposition"].endswith(
        'e.parquet"' if format == "parquet" else 'e.arrows"'
    )
    assert "Vary" not in response.headers
    response.close()


def test_a_parquet_file_is_written_by_groups_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ParquetEncoder, "group_rows", 1000)
    encoder = ParquetEncoder(["n"])
    pieces = [
        b"".join(encoder.encode([(n,) for n in range(start, start + 100)]))
        for start in range(0, 2500, 100)
    ]
    # The opening leaves with the first row, and each group when it is whole.
    assert [len(piece) > 0 for piece in pieces] == [n in (0, 9, 19) for n in range(25)]
    assert pieces[0] == b"PAR1"
    whole = io.BytesIO(b"".join([*pieces, encoder.end()]))
    assert pyarrow.parquet.ParquetFile(whole).num_row_groups == 3
    assert pyarrow.parquet.read_table(whole).column("n").to_pylist() == [*range(2500)]


def test_only_values_that_repeat_have_a_dictionary() -> None:
    rows = [
        {"n": n, "s": f"row {n}", "kind": f"kind {n % 7}", "none": None, "b": n > 5, "x": b"a"}
        for n in range(9000)
    ]
    file = pyarrow.parquet.ParquetFile(io.BytesIO(body(rows, "parquet")))
    assert file.read().to_pylist() == rows
    group = file.metadata.row_group(0)
    assert {
        group.column(index).path_in_schema
        for index in range(group.num_columns)
        if group.column(index).has_dictionary_page
    } == {"kind", "none", "x"}
    nested = [{"n": n, "tags": ["a"]} for n in range(100)]
    file = pyarrow.parquet.ParquetFile(io.BytesIO(body(nested, "parquet")))
    assert file.metadata.row_group(0).column(1).has_dictionary_page
    assert file.read().to_pylist() == nested
