"""Columns of Arrow as lines of csv, by Arrow itself: no value of theirs is made in Python.

Where Arrow would spell a value in another way than the other formats do, that value is made text
before.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa
from pyarrow import compute

from streamkit.rows.slices import values_of_arrow

__all__ = ["arrow_csv"]

# Its functions are made when it is imported, and no type checker knows them.
pc: Final[Any] = compute

TEXT: Final = pa.string()

PLAIN_FLOATS: Final = (1e-3, 1e10)
"""Between these floats are written without an exponent by Arrow, and by us."""

PLAIN_PLACES: Final = range(7)
"""Decimals of so many places are never written with an exponent, by Arrow nor by ``str``."""

UNQUOTED: Final = r'\A[^,"\t-\r\x1c-\x20\x{85}\pZ](?:[^,"\r\n]*[^,"\t-\r\x1c-\x20\x{85}\pZ])?\z'
"""A text that needs no quotes, as in ``CsvEncoder``: white space is what it is to ``str.strip``."""

YEARS: Final = (-719_162, 2_932_897)
"""Days from 1970 to the first of the years that a ``date`` has, of four digits, and to behind the
last."""

TICKS: Final = {
    "s": 86_400,
    "ms": 86_400_000,
    "us": 86_400_000_000,
    "ns": 86_400_000_000_000,
}
"""What a day has of each unit."""

UTC: Final = ("UTC", "Etc/UTC", "+00:00")

Text = Callable[[Sequence[Any]], Sequence[str]]
"""The texts of the cells of a column."""


def arrow_csv(columns: Sequence[Any], text: Text) -> bytes:
    """The rows of ``columns``, of which there are several, without a header.

    The values of a column that Arrow does not write as we do are given to ``text``. Raises what
    that raises, and what Arrow does.
    """
    *cells, last = [_cells(column, text) for column in columns]
    lines = _joined(*cells, _joined(last, "\r\n"), between=",")
    _, _, characters = lines.buffers()
    return bytes(characters)


def _joined(*cells: Any, between: str = "") -> Any:
    return pc.binary_join_element_wise(
        *cells, between, null_handling="replace", null_replacement=""
    )


def _cells(column: Any, text: Text) -> Any:
    """The cells of a column, null for one that is empty."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _cells(column.dictionary_decode(), text)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _texts(column.cast(TEXT))
    if types.is_float64(kind) or types.is_float32(kind):
        return _floats(column.cast(pa.float64()), text)
    if types.is_timestamp(kind) and kind.tz in (None, *UTC):
        return _moments(column, text)
    is_plain = (
        types.is_integer(kind)
        or types.is_boolean(kind)
        or (types.is_decimal(kind) and kind.scale in PLAIN_PLACES)
        or (types.is_date32(kind) and _is_within_years(column.view(pa.int32()), 1))
    )
    return column.cast(TEXT) if is_plain else _others(column, text)


def _others(column: Any, text: Text) -> Any:
    return pa.array(text(values_of_arrow(column)), TEXT)


def _texts(column: Any) -> Any:
    is_unquoted = pc.match_substring_regex(column, UNQUOTED)
    if pc.all(is_unquoted).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(is_unquoted, column, quoted)


def _floats(column: Any, text: Text) -> Any:
    size = pc.abs(column)
    smallest, largest = PLAIN_FLOATS
    is_plain = pc.and_(pc.greater_equal(size, smallest), pc.less(size, largest))
    is_plain = pc.or_(is_plain, pc.equal(size, 0.0))
    cells = column.cast(TEXT)
    is_whole = pc.equal(pc.trunc(column), column)
    if pc.any(is_whole).as_py():
        is_whole = pc.fill_null(is_whole, fill_value=False)
        cells = pc.replace_with_mask(cells, is_whole, _joined(cells.filter(is_whole), ".0"))
    if not pc.all(is_plain).as_py():
        is_odd = pc.fill_null(pc.invert(is_plain), fill_value=False)
        odd = text(column.filter(is_odd).to_pylist())
        cells = pc.replace_with_mask(cells, is_odd, pa.array(odd, TEXT))
    return cells


def _moments(column: Any, text: Text) -> Any:
    if not _is_within_years(column.view(pa.int64()), TICKS[column.type.unit]):
        return _others(column, text)
    zone = "Z" if column.type.tz else ""
    column = column.cast(pa.timestamp(column.type.unit))
    try:
        cells = column.cast(pa.timestamp("s")).cast(TEXT)
    except pa.ArrowInvalid:
        cells = _fractions(column)
    cells = pc.binary_replace_slice(cells, 10, 11, "T")
    return pc.binary_join_element_wise(cells, zone, "") if zone else cells


def _fractions(column: Any) -> Any:
    """The texts of times, with as few of three kinds of fractions as say all: none, of six digits,
    of nine."""
    cells = column.cast(pa.timestamp("ns" if column.type.unit == "ns" else "us")).cast(TEXT)
    for digits, zeros in ((6, "000"), (0, ".000000")):
        length = len("2024-02-29 01:02:03") + (digits and digits + 1)
        is_longer = pc.and_(
            pc.equal(pc.binary_length(cells), length + len(zeros)), pc.ends_with(cells, zeros)
        )
        cells = pc.if_else(is_longer, pc.utf8_slice_codeunits(cells, 0, length), cells)
    return cells


def _is_within_years(ticks: Any, day: int) -> bool:
    """Whether all times are of years of four digits; a ``day`` has so many of their ``ticks``."""
    low, high = pc.min_max(ticks).as_py().values()
    first, end = YEARS
    return low is None or (first * day <= low and high < end * day)
