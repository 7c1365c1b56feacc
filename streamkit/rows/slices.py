"""Some rows of a frame or an Arrow table as one element, column by column."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

__all__ = ["ROWS_AT_ONCE", "Slice", "slices_of_arrow", "slices_of_pandas", "slices_of_polars"]

ROWS_AT_ONCE: Final = 1000
"""Rows that are fetched, or made of columns, at a time.

As many as SQLAlchemy fetches at the most of a result that it streams (``max_row_buffer``).
"""


class Slice:
    """The ``columns`` of some rows, one row at the least, as sequences of the same length."""

    __slots__ = ("columns",)

    def __init__(self, columns: list[Sequence[Any]]) -> None:
        self.columns = columns


def slices_of_polars(frame: Any) -> Iterator[Slice]:
    for start in range(0, frame.height, ROWS_AT_ONCE):
        yield Slice([part.to_list() for part in frame.slice(start, ROWS_AT_ONCE).get_columns()])


# Rows without columns are not told from none.


def slices_of_arrow(batches: Any) -> Iterator[Slice]:
    for batch in batches:
        if not batch.num_columns:
            continue
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            columns = batch.slice(start, ROWS_AT_ONCE).columns
            yield Slice([column.to_pylist() for column in columns])


def slices_of_pandas(frame: Any) -> Iterator[Slice]:
    columns = [frame.iloc[:, place] for place in range(len(frame.columns))]
    for start in range(0, len(frame) if columns else 0, ROWS_AT_ONCE):
        yield Slice([_values(column.iloc[start : start + ROWS_AT_ONCE]) for column in columns])


def _values(column: Any) -> Sequence[Any]:
    """What the rows of a frame of pandas have in a column."""
    if getattr(column.dtype, "char", "") == "M":
        # A Timestamp takes ten times as long to make and to write as a datetime does, and is only
        # needed for nanoseconds, which a datetime does not have.
        moments = column.to_numpy()
        rounded = moments.astype("M8[us]")
        if ((rounded == moments) | (moments != moments)).all():
            made: Sequence[Any] = rounded.tolist()
            return made
    values: Sequence[Any] = column.tolist()
    return values
