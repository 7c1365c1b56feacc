"""Sources that give their rows as record batches of Arrow: no row of them is made in Python."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from streamkit.rows.slices import slices_of_pandas
from streamkit.rows.tables import Slices
from streamkit.source import Inline, inline

__all__ = ["read_records"]

ROWS_AT_ONCE: Final = 65_536
"""Rows of a record batch: as many as a group of Parquet has here."""

NOT_IN_ARROW: Final = ("Object", "Int128")
"""What is in the names of the types of polars that pyarrow has none for. Of Python's own objects it
would be given the addresses in memory.
"""


def read_records(source: Any, rows: int = ROWS_AT_ONCE) -> tuple[Any, Sequence[str]] | None:
    """The record batches of ``source``, of so many ``rows`` each at the most, and the names of its
    columns; None if it has none.

    Known are tables, record batches and their readers of Arrow, frames of pandas and polars,
    relations and connections of DuckDB. A frame of polars has none if it has a
    column of a type that pyarrow has not. The batches are iterable once; to close them closes the
    source. pyarrow must be installed.
    """
    if isinstance(source, Inline):
        found = read_records(source.iterable, rows)
        return found and (inline(found[0]), found[1])
    if hasattr(source, "read_next_batch"):
        batches = partial(_of_batches, source, source.schema, rows)
        return Slices(source, batches), source.schema.names
    if hasattr(source, "to_pylist") and hasattr(source, "schema"):
        whole = source.to_batches() if hasattr(source, "to_batches") else [source]
        batches = partial(_of_batches, whole, source.schema, rows)
        return Slices(source, batches), source.schema.names
    if hasattr(source, "to_arrow_reader"):
        names = [column[0] for column in source.description]
        return Slices(source, partial(_of_reader, source, rows)), names
    if hasattr(source, "iter_rows") and hasattr(source, "to_arrow"):
        if any(name in str(kind) for kind in source.dtypes for name in NOT_IN_ARROW):
            return None
        return Slices(source, partial(_of_polars, source, rows)), source.columns
    if hasattr(source, "itertuples"):
        return Slices(source, partial(_of_pandas, source, rows)), [*map(str, source.columns)]
    return None


def _of_batches(batches: Any, schema: Any, rows: int) -> Iterator[Any]:
    is_empty = True
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            is_empty = False
            yield batch.slice(start, rows)
    if is_empty:
        yield _empty(schema)


def _empty(schema: Any) -> Any:
    """A record batch without rows, of which the types of columns are known all the same."""
    from pyarrow import RecordBatch, nulls

    return RecordBatch.from_arrays([nulls(0, kind) for kind in schema.types], schema=schema)


def _of_reader(source: Any, rows: int) -> Iterator[Any]:
    reader = source.to_arrow_reader(rows)
    return _of_batches(reader, reader.schema, rows)


def _of_polars(frame: Any, rows: int) -> Iterator[Any]:
    for start in range(0, max(frame.height, 1), rows):
        table = frame.slice(start, rows).to_arrow()
        yield from table.to_batches() or [_empty(table.schema)]


def _of_pandas(frame: Any, rows: int) -> Iterator[Any]:
    from pyarrow import ArrowException, Schema, Table

    # The names of pandas' columns are of any type, and only text is found again in a schema.
    names = [*map(str, frame.columns)]
    is_distinct = len({*names}) == len(names)
    # Nor does pyarrow take one name twice, though the column that is exported may be another one.
    frame = frame.set_axis(names if is_distinct else [*map(str, range(len(names)))], axis=1)
    # The types are those of all rows: some of them might have nothing in a column.
    try:
        schema = Schema.from_pandas(frame, preserve_index=False)
    except (ArrowException, TypeError, ValueError, OverflowError):
        # Of objects that Arrow does not know, of a text with a lone surrogate or of values of
        # several types something is made, or an error is told, row by row.
        yield from slices_of_pandas(frame)
        return
    for start in range(0, max(len(frame), 1), rows):
        part = frame.iloc[start : start + rows]
        # A column of a frame that was made of others may be in several pieces.
        table = Table.from_pandas(part, schema, preserve_index=False)
        table = table.combine_chunks()
        table = table if is_distinct else table.rename_columns(names)
        yield from table.to_batches() or [_empty(table.schema)]
