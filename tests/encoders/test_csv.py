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


CELLS: list[tuple[Any, str]] = [
    # value, its cell
    (1e16, "1e16"),
    (float("-inf"), ""),
    (2**70, str(2**70)),
    (True, "true"),
    ("null", "null"),
    ("a\\nb", "a\\nb"),
    ("\\", "\\"),
    ('"', '""""'),
    ('\\"\\', '"\\""\\"'),
    ("\0\x01", "\0\x01"),
    ("\x85", '"\x85"'),
    ("a\u2028b", "a\u2028b"),
    ("\ta", '"\ta"'),
    ("[1],[2]", '"[1],[2]"'),
    (["a", "\n"], '"[""a"",""\\n""]"'),
]


@pytest.mark.parametrize("others", [[], [None], ["a"], [0.5, 1]], ids=str)
@pytest.mark.parametrize(("value", "cell"), CELLS)
def test_a_cell_is_the_same_whatever_else_is_in_its_column(
    value: Any, cell: str, others: list[Any]
) -> None:
    rows = [(value, 1), *((other, 1) for other in others)]
    body = encoded(CsvEncoder(columns=["a", "b"]), rows)
    assert body.decode().startswith(f"a,b\r\n{cell},1\r\n")


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
        st.sampled_from('a ",;\\[]\r\n\t\b\f\0\x01\x1f\x7f\ufeff\x85\u2028\u00e9')
        | st.characters(exclude_categories=["Cs"])
    )
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1)
)


class Semicolons(CsvEncoder):
    delimiter = ";"


@pytest.mark.parametrize("encoder", [CsvEncoder, Semicolons])
@settings(derandomize=True, deadline=None)
@given(tables, st.integers(1, 5))
def test_a_reader_reads_what_was_written(
    encoder: type[CsvEncoder], rows: list[list[Any]], batch: int
) -> None:
    columns = [f"c{index}" for index in range(len(rows[0]))]
    batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    body = encoded(encoder(columns=columns), *batches)
    text = io.StringIO(body.decode(), newline="")
    assert list(csv.reader(text, delimiter=encoder.delimiter, strict=True)) == [
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
