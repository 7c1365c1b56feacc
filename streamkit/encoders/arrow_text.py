"""Columns of Arrow as rows of csv or JSON, by Arrow itself: no value of theirs is made in Python.

Where Arrow would spell a value in another way than the other formats do, that value is made text
before.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from struct import pack
from typing import Any, Final

import pyarrow as pa
from pyarrow import compute

from streamkit.rows.frames import is_written_by_arrow
from streamkit.rows.relations import DAY_TICKS, DAYS
from streamkit.rows.slices import values_of_arrow
from streamkit.rows.values import json_lines

__all__ = ["arrow_csv", "arrow_json"]

# Its functions are made when it is imported, and no type checker knows them.
pc: Final[Any] = compute

TEXT: Final = pa.string()


def _scalar(text: str) -> Any:
    """A ``text`` as Arrow has it, not made by ``pa.scalar`` nor ``pa.array``: these import pandas
    where it is installed, which takes a second."""
    octets = text.encode()
    ends = pa.py_buffer(pack("=2i", 0, len(octets)))
    return pa.StringArray.from_buffers(1, ends, pa.py_buffer(octets))[0]


NOTHING: Final = _scalar("")
QUOTE: Final = _scalar('"')
YES: Final = _scalar("true")
NO: Final = _scalar("false")
FALSE: Final = NO.cast(pa.bool_())
ZERO: Final = _scalar("0").cast(pa.float64())

PLAIN_FLOATS: Final = (
    _scalar("0.001").cast(pa.float64()),
    _scalar("10000000000").cast(pa.float64()),
)
"""Between these floats are written without an exponent by Arrow, and by us."""

WHITE: Final = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""What ``str.strip`` takes away."""

SPECIAL: Final = b',"\r\n'
"""What csv has quotes around, as white space at an end."""

UNQUOTED: Final = r'\A[^,"\t-\r\x1c-\x20\x{85}\pZ](?:[^,"\r\n]*[^,"\t-\r\x1c-\x20\x{85}\pZ])?\z'
"""A text that needs no quotes, as in ``CsvEncoder``."""

ESCAPED: Final = bytes((*range(0x20), *b'"\\'))
LINE_ENDS: Final = tuple(map(str.encode, "\x85\u2028\u2029"))
"""What JSON has an escape for, as in ``json_lines``."""

WITH_ESCAPES: Final = r'["\\\x00-\x1f\x{85}\x{2028}\x{2029}]'

LENGTHS: Final = {
    "us": len("2024-02-29 01:02:03.000004"),
    "s": len("2024-02-29 01:02:03"),
}
"""Characters of a time that is a whole number of a unit."""

Spell = Callable[[Sequence[Any]], Sequence[str]]
"""The texts of values, as they stand in a format."""


def arrow_csv(columns: Sequence[Any], spell: Spell) -> bytes:
    """The rows of ``columns``, of which there are several, without a header.

    The values of a column that Arrow does not write as we do are given to ``spell``. Raises what
    that raises, and what Arrow does.
    """
    cells = [_cells(column, spell, _csv_texts)[0] for column in columns]
    return b"".join((_lines(cells, between=",", null="", end="\r\n"), b"\r\n"))


def arrow_json(columns: Sequence[Any], names: Iterable[Any], end: str) -> bytes:
    """The rows of ``columns`` as JSON objects, each ended by ``end``.

    Raises what ``json_lines`` raises, and what Arrow does.
    """
    pieces: list[Any] = []
    before = "{"
    for key, column in zip(_json([*map(str, names)]), columns, strict=True):
        cells, is_text = _cells(column, _json, _json_texts)
        quote = '"' if is_text else ""
        if is_text and cells.null_count:
            # A null has no quotes.
            cells, quote = pc.binary_join_element_wise(QUOTE, cells, QUOTE, NOTHING), ""
        pieces += [_scalar(f"{before}{key}:{quote}"), cells]
        before = f"{quote},"
    pieces.append(_scalar(before.removesuffix(",") + "}"))
    return b"".join((_lines(pieces, between="", null="null", end=end), end.encode()))


def _json(values: Sequence[Any]) -> Sequence[str]:
    return json_lines(values).decode().split("\n")[:-1]


def _lines(pieces: Sequence[Any], between: str, null: str, end: str) -> Any:
    """The rows, with ``between`` between the ``pieces`` of each, and ``end`` between them."""
    rows = pc.binary_join_element_wise(
        *pieces, _scalar(between), null_handling="replace", null_replacement=null
    )
    places = pa.py_buffer(pack("=2i", 0, len(rows)))
    rows = pa.ListArray.from_buffers(pa.list_(TEXT), 1, [None, places], children=[rows])
    # A scalar of it would be a copy.
    return pc.binary_join(rows, _scalar(end)).buffers()[2]


def _cells(
    column: Any, spell: Spell, texts: Callable[[Any, bytes, Spell], Any]
) -> tuple[Any, bool]:
    """The cells of a column, null for one that has no value, and whether they are text to JSON,
    whose quotes they lack.

    Raises ArrowInvalid for text that is not UTF-8.
    """
    kind, types = column.type, pa.types
    if not is_written_by_arrow(kind):
        return _spelt(column, spell), False
    if types.is_dictionary(kind):
        return _cells(column.dictionary_decode(), spell, texts)
    if types.is_float64(kind) or types.is_float32(kind):
        return _floats(column.cast(pa.float64()), spell), False
    if types.is_boolean(kind):
        # A cast of them takes twice the time.
        return pc.if_else(column, YES, NO), False
    if types.is_integer(kind):
        return column.cast(TEXT), False
    if types.is_decimal(kind):
        return column.cast(TEXT), True
    if types.is_timestamp(kind):
        is_usual = _is_within_years(column.view(pa.int64()), DAY_TICKS[kind.unit])
        return (_moments(column), True) if is_usual else (_spelt(column, spell), False)
    if types.is_date32(kind):
        is_usual = _is_within_years(column.view(pa.int32()), 1)
        return (column.cast(TEXT), True) if is_usual else (_spelt(column, spell), False)
    column = column.cast(TEXT)
    octets = _octets(column)
    if not octets.isascii():
        # Nothing else looks at it: a reader of Arrow takes it as it is.
        column.validate(full=True)
    return texts(column, octets, spell), True


def _spelt(column: Any, spell: Spell) -> Any:
    return pa.array(spell(values_of_arrow(column)), TEXT)


def _csv_texts(column: Any, octets: bytes, spell: Spell) -> Any:
    """A column of text, which are these ``octets``, with quotes where csv has them."""
    trimmed = pc.utf8_trim(column, WHITE)
    if (
        len(_octets(trimmed)) == len(octets)
        and not any(each in octets for each in SPECIAL)
        and pc.min(pc.binary_length(column)).as_py() != 0
    ):
        return column
    is_quoted = pc.invert(pc.match_substring_regex(column, UNQUOTED))
    return _replaced(column, is_quoted, _in_quotes)


def _in_quotes(texts: Any) -> Any:
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.binary_join_element_wise(QUOTE, doubled, QUOTE, NOTHING)


def _json_texts(column: Any, octets: bytes, spell: Spell) -> Any:
    """A column of text, which are these ``octets``, with the escapes of JSON."""
    if len(octets.translate(None, ESCAPED)) == len(octets) and (
        octets.isascii() or not any(each in octets for each in LINE_ENDS)
    ):
        return column
    has_escapes = pc.match_substring_regex(column, WITH_ESCAPES)
    return _replaced(
        column,
        has_escapes,
        lambda odd: pa.array([text[1:-1] for text in spell(odd.to_pylist())], TEXT),
    )


def _octets(texts: Any) -> bytes:
    """All texts of a column, one behind the other."""
    _, offsets, characters = texts.buffers()
    places = memoryview(offsets).cast("i")
    first, end = places[texts.offset], places[texts.offset + len(texts)]
    return bytes(memoryview(characters)[first:end]) if end else b""


def _replaced(cells: Any, is_odd: Any, spelt: Callable[[Any], Any]) -> Any:
    """``cells`` with those that are odd as they are ``spelt``."""
    if not pc.any(is_odd).as_py():
        return cells
    is_odd = pc.fill_null(is_odd, FALSE)
    return pc.replace_with_mask(cells, is_odd, spelt(cells.filter(is_odd)))


def _floats(column: Any, spell: Spell) -> Any:
    size = pc.abs(column)
    smallest, largest = PLAIN_FLOATS
    is_plain = pc.and_(pc.greater_equal(size, smallest), pc.less(size, largest))
    is_plain = pc.or_(is_plain, pc.equal(size, ZERO))
    cells = column.cast(TEXT)
    is_whole = pc.equal(pc.trunc(column), column)
    cells = _replaced(cells, is_whole, partial(_with, end=_scalar(".0")))
    if not pc.all(is_plain).as_py():
        is_odd = pc.fill_null(pc.invert(is_plain), FALSE)
        odd = spell(column.filter(is_odd).to_pylist())
        cells = pc.replace_with_mask(cells, is_odd, pa.array(odd, TEXT))
    return cells


def _with(cells: Any, end: Any) -> Any:
    return pc.binary_join_element_wise(cells, end, NOTHING)


def _moments(column: Any) -> Any:
    is_aware = column.type.tz is not None
    column = column.cast(pa.timestamp(column.type.unit))
    try:
        cells = column.cast(pa.timestamp("s")).cast(TEXT)
    except pa.ArrowInvalid:
        cells = _fractions(column)
    cells = pc.binary_replace_slice(cells, 10, 11, "T")
    return _with(cells, _scalar("Z")) if is_aware else cells


def _fractions(column: Any) -> Any:
    """The texts of times, with as few of three kinds of fractions as say all: none, of six digits,
    of nine."""
    unit = "ns" if column.type.unit == "ns" else "us"
    column = column.cast(pa.timestamp(unit))
    cells = column.cast(TEXT)
    for coarse, length in LENGTHS.items():
        if coarse != unit:
            is_shorter = pc.equal(column.cast(pa.timestamp(coarse), safe=False), column)
            cells = _replaced(
                cells, is_shorter, partial(pc.utf8_slice_codeunits, start=0, stop=length)
            )
    return cells


def _is_within_years(ticks: Any, day: int) -> bool:
    """Whether all times are of years of four digits; a ``day`` has so many of their ``ticks``."""
    low, high = pc.min_max(ticks).as_py().values()
    first, end = DAYS
    return low is None or (first * day <= low and high < end * day)
