"""Frames and tables whose values Arrow has as their rows do, so that it may write them as text."""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from math import ceil
from typing import Any, Final

from streamkit.rows import slices
from streamkit.rows.records import read_records
from streamkit.rows.relations import is_same_in_arrow, with_times_of_rows
from streamkit.rows.tables import Slices
from streamkit.source import Inline, inline

__all__ = ["Records", "is_written_by_arrow", "read_frames"]

ROWS_AT_ONCE: Final = 16_384
"""Rows of a record batch at the most: of a quarter as many up to a fifth of the time would go into
calls of Arrow."""

CELLS_AT_ONCE: Final = 5 * ROWS_AT_ONCE
"""Cells of a record batch at the most, which Arrow writes in some two to seven milliseconds. A loop
is held up for as long.

Floats with an exponent and texts with escapes take up to four times as long: whether there are any,
their types do not tell.
"""

PLAIN_PLACES: Final = range(7)
"""Decimals of so many places are never written with an exponent, by Arrow nor by ``str``."""

UTC: Final = ("UTC", "Etc/UTC", "+00:00")


class Records:
    """Some rows as a record ``batch`` of Arrow, one row at the least."""

    __slots__ = ("batch",)

    def __init__(self, batch: Any) -> None:
        self.batch = batch


def read_frames(source: Any) -> tuple[Any, Sequence[str]] | None:
    """The ``Records`` of ``source`` and the names of its columns; None if it has none.

    Known are tables, record batches and their readers of Arrow, and, where pyarrow is installed,
    frames of polars and relations of DuckDB. They are iterable once; to close them closes the
    source.
    """
    if isinstance(source, Inline):
        found = read_frames(source.iterable)
        return found and (inline(found[0]), found[1])
    if not _is_the_same_in_arrow(source):
        return None
    read = read_records(source, ROWS_AT_ONCE)
    if read is None:
        return None
    batches, names = read
    if hasattr(source, "to_arrow_reader"):
        return Slices(source, lambda: _records(with_times_of_rows(batches))), names
    return Slices(source, partial(_records, batches)), names


def _is_the_same_in_arrow(source: Any) -> bool:
    if hasattr(source, "to_arrow_reader"):
        # A connection copies all of a result that it has executed before it gives it to Arrow.
        is_connection = hasattr(source, "cursor")
        return not is_connection and is_same_in_arrow(source) and find_spec("pyarrow") is not None
    if hasattr(source, "iter_rows"):
        return find_spec("pyarrow") is not None
    # What becomes of the objects of pandas is decided by all of a column, and not value by value.
    return not hasattr(source, "itertuples")


def _records(batches: Any) -> Iterator[Records]:
    for batch in batches:
        if batch.num_rows and batch.num_columns:
            parts = ceil(batch.num_rows / _rows_at_once(batch.schema.types))
            # All are as long as each other: to write a few rows takes as many calls as many.
            rows = ceil(batch.num_rows / parts)
            for start in range(0, batch.num_rows, rows):
                yield Records(batch.slice(start, rows))


def _rows_at_once(types: Sequence[Any]) -> int:
    """How many rows with columns of these ``types`` are written in a few milliseconds."""
    # Those that are made in Python are as many as they are of other frames.
    most = ROWS_AT_ONCE if all(map(is_written_by_arrow, types)) else slices.ROWS_AT_ONCE
    return max(1, min(most, CELLS_AT_ONCE // len(types)))


def is_written_by_arrow(kind: Any) -> bool:
    """Whether Arrow makes the texts of the values of a type, nearly all of them at the least, or
    Python has to."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return is_written_by_arrow(kind.value_type)
    if types.is_timestamp(kind):
        return kind.tz in (None, *UTC)
    if types.is_decimal(kind):
        return kind.scale in PLAIN_PLACES
    return any(
        is_of(kind)
        for is_of in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_integer,
            types.is_float64,
            types.is_float32,
            types.is_boolean,
            types.is_date32,
        )
    )
