"""Frames of polars as lines of csv, by polars itself: no value of theirs is made in Python.

Where polars would spell a value in another way than the other formats do, its column is made text
before.
"""

import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from streamkit.rows.slices import values_of_polars

__all__ = ["polars_csv"]

NUMBERS: Final = frozenset(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))

PLAIN_FLOATS: Final = (1e-3, 1e15)
"""Between these floats are written without an exponent by every version of polars, and by us."""

SPECIAL: Final = (",", '"', "\r", "\n")
UNICODE_SEPARATORS: Final = ("\x1c", "\x1d", "\x1e", "\x1f")
"""White space for ``str.strip``, though not for Rust."""

QUOTED: Final = r'[,"\r\n]|^[\s\x1c-\x1f]|[\s\x1c-\x1f]$|^$'
"""What is in a text that needs quotes, as in ``CsvEncoder``."""

WHOLE: Final = "%Y-%m-%dT%H:%M:%S"

TICKS: Final = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

Text = Callable[[Sequence[Any]], Sequence[str]]
"""The texts of the cells of a column."""


def polars_csv(frame: Any, text: Text) -> bytes:
    """The rows of ``frame``, which has several columns, without a header.

    A column of a type that polars does not write as we do is given to ``text``. Raises what that
    raises, and what polars does.
    """
    polars = sys.modules["polars"]
    columns = [_cells(polars, column, text) for column in frame.get_columns()]
    written = io.BytesIO()
    polars.DataFrame([column.alias(str(place)) for place, column in enumerate(columns)]).write_csv(
        written, include_header=False, line_terminator="\r\n", quote_style="never"
    )
    return written.getvalue()


def _cells(polars: Any, column: Any, text: Text) -> Any:
    """A column that polars writes as we do."""
    kind = column.dtype
    name = str(kind.base_type())
    if name in NUMBERS or name == "Boolean":
        return column
    if name in ("Float64", "Float32"):
        return _floats(polars, column.cast(polars.Float64), text)
    if name in ("Categorical", "Enum"):
        column, name = column.cast(polars.String), "String"
    if name == "String":
        return _texts(polars, column)
    if name == "Datetime" and kind.time_zone in (None, "UTC") and _has_year(column):
        return _moments(polars, column, kind)
    if name == "Date" and _has_year(column):
        return column.dt.to_string("%Y-%m-%d")
    return polars.Series(text(values_of_polars(column)), dtype=polars.String)


def _floats(polars: Any, column: Any, text: Text) -> Any:
    size = column.abs()
    smallest, largest = PLAIN_FLOATS
    # Not a number is neither more nor less.
    odd = ~(((size >= smallest) & (size < largest) & size.is_finite()) | (size == 0))
    places = odd.fill_null(value=False).arg_true()
    if not len(places):
        return column
    texts = polars.Series(text(column.gather(places).to_list()), dtype=polars.String)
    return column.cast(polars.String).scatter(places, texts)


def _texts(polars: Any, column: Any) -> Any:
    if not (
        column.str.contains_any([*SPECIAL, *UNICODE_SEPARATORS]).any()
        or (column.str.strip_chars() != column).any()
        or column.str.len_bytes().min() == 0
    ):
        return column
    cell = polars.col("cell")
    quoted = polars.concat_str(
        [polars.lit('"'), cell.str.replace_all('"', '""', literal=True), polars.lit('"')]
    )
    made = polars.when(cell.str.contains(QUOTED)).then(quoted).otherwise(cell)
    return column.alias("cell").to_frame().select(made.alias("cell"))["cell"]


def _has_year(column: Any) -> bool:
    """Whether the years of a column are those that a ``date`` has: of four digits."""
    return bool(column.dt.year().is_between(1, 9999).all())


def _moments(polars: Any, column: Any, kind: Any) -> Any:
    zone = "Z" if kind.time_zone else ""
    cell = polars.col("cell")
    ticks = TICKS[kind.time_unit]
    column = column.dt.replace_time_zone(None).alias("cell")
    physical = column.to_physical()
    whole = cell.dt.to_string(f"{WHOLE}{zone}")
    if (physical % ticks == 0).all():
        made = whole
    else:
        micro = cell.dt.to_string(f"{WHOLE}.%6f{zone}")
        made = polars.when(cell.to_physical() % ticks == 0).then(whole).otherwise(micro)
        if kind.time_unit == "ns" and not (physical % 1000 == 0).all():
            nano = cell.dt.to_string(f"{WHOLE}.%9f{zone}")
            made = polars.when(cell.to_physical() % 1000 == 0).then(made).otherwise(nano)
    return column.to_frame().select(made.alias("cell"))["cell"]
