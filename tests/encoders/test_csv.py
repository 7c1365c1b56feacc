import csv
import io
from typing import Any

import pytest
from encoding import encoded, encoded_until_raised
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.encoders import CsvEncoder


def test_the_header_comes_from_the_first_row() -> None:
    encoder = CsvEncoder()
    assert encoder.begin() == b""
    assert encoded(encoder, [{"a": 1}], [{"a": 2}]) == b"a\r\n1\r\n2\r\n"


def test_the_header_comes_first_when_the_source_knows_its_columns() -> None:
    encoder = CsvEncoder(columns=["a", "b"])
    assert encoder.begin() == b"a,b\r\n"
    assert encoded(CsvEncoder(columns=["a", "b"])) == b"a,b\r\n"


def test_no_rows_and_no_columns_are_an_empty_file() -> None:
    assert encoded(CsvEncoder()) == b""


def test_a_header_is_quoted_like_any_row() -> None:
    row = {"a,b": 1, "": 2, " c": 3, 4: 5, None: 6}
    assert encoded(CsvEncoder(), [row]) == b'"a,b",""," c",4,\r\n1,2,3,5,6\r\n'


def test_null_and_empty_text_differ() -> None:
    rows = [("a", "b"), ("", None), (None, "")]
    assert encoded(CsvEncoder(), rows) == b'a,b\r\n"",\r\n,""\r\n'


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_the_only_cell_of_a_row_is_never_an_empty_line(value: Any) -> None:
    assert encoded(CsvEncoder(), [{"a": value}, {}]) == b'a\r\n""\r\n""\r\n'


def test_serialize_gives_the_rows_own_lines() -> None:
    encoder = CsvEncoder(str, columns=["a"])
    assert encoded(encoder, ["a;b", "1;2\n", "3;4\r\n"], [5]) == b"a;b\n1;2\n3;4\r\n5\n"


def test_serialize_may_return_bytes() -> None:
    assert encoded(CsvEncoder(lambda row: b"1,2"), [0]) == b"1,2\n"


def test_a_serialize_that_returns_no_text_breaks_off() -> None:
    encoder = CsvEncoder(lambda row: "1" if row else row)
    body, error = encoded_until_raised(encoder, [1, 1, 0])
    assert body == b"1\n1\n"
    assert isinstance(error, TypeError)
    assert str(error) == (
        "serialize must return all of a row's text as str or bytes, got int: "
        "to change a value of a row, yield another row"
    )


def test_a_lone_surrogate_from_serialize_is_repaired() -> None:
    encoder = CsvEncoder(str)
    assert encoded(encoder, ["a", "\udc22"]) == b"a\n\xef\xbf\xbd\n"
    assert encoder.repaired == 1


cells = (
    st.none()
    | st.integers()
    | st.text(
        st.sampled_from('a ",;\r\n\t\0\ufeff\u2028\u00e9')
        | st.characters(exclude_categories=["Cs"])
    )
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1)
)


@settings(derandomize=True, deadline=None)
@given(tables, st.integers(1, 5))
def test_a_reader_reads_what_was_written(rows: list[list[Any]], batch: int) -> None:
    columns = [f"c{index}" for index in range(len(rows[0]))]
    batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    body = encoded(CsvEncoder(columns=columns), *batches)
    read = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
    assert list(read) == [
        columns,
        *(["" if cell is None else str(cell) for cell in row] for row in rows),
    ]


surrogates = st.text(st.sampled_from('a,"\n\ud800\udc22\udc80 '))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(surrogates, st.none() | surrogates)))
def test_no_surrogate_breaks_a_table(rows: list[tuple[str, str | None]]) -> None:
    encoder = CsvEncoder(columns=["a", "b"])
    read = csv.reader(io.StringIO(encoded(encoder, *([rows] if rows else [])).decode(), newline=""))
    flawed = [row for row in rows if any(cell and not _is_utf8(cell) for cell in row)]
    assert list(read)[1:] == [[_repaired(cell or "") for cell in row] for row in rows]
    assert encoder.repaired == len(flawed)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _repaired(text: str) -> str:
    pairs = text.replace("\ud800\udc22", chr(0x10022)).replace("\ud800\udc80", chr(0x10080))
    return "".join(c if _is_utf8(c) else "\ufffd" for c in pairs)
