"""Frames and tables whose values Arrow has as their rows do, so that it may write them as text."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from streamkit.rows.records import read_records
from streamkit.rows.tables import Slices
from streamkit.source import Inline, inline

__all__ = ["Records", "read_frames"]

ROWS_AT_ONCE: Final = 16_384
"""Rows of a record batch. Of half as many a tenth of the time would go into calls of Arrow, and
more would hold a loop up for longer than a few milliseconds.
"""

DUCKDB_TYPES: Final = re.compile(
    r"U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN|VARCHAR|ENUM.*|UUID|BLOB"
    r"|DATE|TIME|TIMESTAMP(?:_S|_MS|_NS| WITH TIME ZONE)?"
)
"""Those whose values are the same in Arrow and in the rows of DuckDB. Those of an INTERVAL, for
one, are not."""


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
    return read and (Slices(source, partial(_records, read[0])), read[1])


def _is_the_same_in_arrow(source: Any) -> bool:
    if hasattr(source, "to_arrow_reader"):
        if hasattr(source, "cursor"):
            # A connection copies all of a result that it has executed before it gives it to Arrow.
            return False
        types = [str(kind) for _, kind, *_ in source.description or ()]
        return all(map(DUCKDB_TYPES.fullmatch, types)) and find_spec("pyarrow") is not None
    if hasattr(source, "iter_rows"):
        return find_spec("pyarrow") is not None
    # What becomes of the objects of pandas is decided by all of a column, and not value by value.
    return not hasattr(source, "itertuples")


def _records(batches: Any) -> Iterator[Records]:
    for batch in batches:
        if batch.num_rows and batch.num_columns:
            yield Records(batch)
