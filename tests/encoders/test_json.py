"""JSON arrays and newline-delimited JSON."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from encoding import encoded, encoded_until_raised
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.encoders import JsonEncoder, NdjsonEncoder


@pytest.mark.parametrize(
    ("batches", "array", "lines"),
    [
        ([], b"[\n]\n", b""),
        ([[{"a": 1}]], b'[\n{"a":1}\n]\n', b'{"a":1}\n'),
        ([[1, 2], [3]], b"[\n1,\n2,\n3\n]\n", b"1\n2\n3\n"),
        ([["a\nb"], [None]], b'[\n"a\\nb",\nnull\n]\n', b'"a\\nb"\nnull\n'),
    ],
)
def test_rows_are_framed_as_an_array_or_as_lines(
    batches: list[list[Any]], array: bytes, lines: bytes
) -> None:
    assert encoded(JsonEncoder(), *batches) == array
    assert encoded(NdjsonEncoder(), *batches) == lines


def test_serialize_gives_the_rows_own_text() -> None:
    assert encoded(JsonEncoder(json.dumps), [{"a": 1}, 2], [3]) == b'[\n{"a": 1},\n2,\n3\n]\n'
    assert encoded(NdjsonEncoder(json.dumps), [{"a": 1}, 2], [3]) == b'{"a": 1}\n2\n3\n'
    assert encoded(NdjsonEncoder(lambda row: b"1\n"), [0, 0]) == b"1\n1\n"


def test_an_element_of_an_array_may_have_many_lines() -> None:
    encoder = JsonEncoder(lambda row: json.dumps(row, indent=1))
    assert json.loads(encoded(encoder, [{"a": 1}, {"b": [2]}])) == [{"a": 1}, {"b": [2]}]


def test_a_row_of_ndjson_may_not_have_many_lines() -> None:
    encoder = NdjsonEncoder(lambda row: json.dumps(row, indent=1))
    body, error = encoded_until_raised(encoder, [1, 2, {"a": 1}])
    assert body == b"1\n2\n"
    assert isinstance(error, ValueError)
    assert str(error) == "serialize must return one line for a row of ndjson, got several for row 3"


@pytest.mark.parametrize("encoder", [JsonEncoder, NdjsonEncoder])
def test_a_serialize_that_returns_no_text_breaks_off(encoder: Callable[[Any], Any]) -> None:
    _, error = encoded_until_raised(encoder(lambda row: row), [{"a": 1}])
    assert isinstance(error, TypeError)
    assert str(error) == (
        "serialize must return all of a row's text as str or bytes, got dict: "
        "to change a value of a row, yield another row"
    )


@pytest.mark.parametrize("encoder", [JsonEncoder, NdjsonEncoder])
def test_serialize_is_called_once_a_row(encoder: Callable[[Any], Any]) -> None:
    seen: list[int] = []

    def serialize(row: int) -> str:
        seen.append(row)
        return str(1 // row)

    encoded_until_raised(encoder(serialize), [3, 2, 1, 0])
    assert seen == [3, 2, 1, 0]


def test_a_broken_off_array_has_no_end() -> None:
    body, error = encoded_until_raised(JsonEncoder(), [1, 2, object()])
    assert body == b"[\n1,\n2"
    assert isinstance(error, TypeError)


texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=10,
)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.lists(values, min_size=1)))
def test_a_reader_reads_what_was_written(batches: list[list[Any]]) -> None:
    rows = [row for batch in batches for row in batch]
    assert json.loads(encoded(JsonEncoder(), *batches)) == rows
    lines = encoded(NdjsonEncoder(), *batches).split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == rows
