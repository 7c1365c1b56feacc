"""Relations of DuckDB whose values Arrow has as their rows do."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, Final

from streamkit.rows.slices import values_of_arrow
from streamkit.rows.values import json_of

__all__ = ["DAYS", "DAY_TICKS", "is_same_in_arrow", "with_times_of_rows"]

SAME_TYPES: Final = re.compile(
    r"U?(?:TINY|SMALL|BIG)?INT(?:EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN|VARCHAR|ENUM.*|UUID|BLOB"
    r"|DATE|TIME|TIMESTAMP(?:_S|_MS|_NS| WITH TIME ZONE)?"
)
"""Those whose values are the same in Arrow and in rows. Integers of 128 bits, for one, are not: to
Arrow they are decimals, in which the largest have no place."""

DAYS: Final = (-719_162, 2_932_897)
"""Days from 1970 to the first of the years that Python has, of four digits, and to behind the
last."""

DAY_TICKS: Final = {
    "s": 86_400,
    "ms": 86_400_000,
    "us": 86_400_000_000,
    "ns": 86_400_000_000_000,
}
"""What a day has of each unit."""

INFINITY: Final = 2**63 - 1
"""The ticks of a timestamp that is infinite, with a minus for the one before all others."""


def is_same_in_arrow(relation: Any) -> bool:
    """Whether all columns of a relation are of such types.

    Only of times some may be other ones all the same: see ``with_times_of_rows``.
    """
    types = [str(kind) for _, kind, *_ in relation.description or ()]
    return all(map(SAME_TYPES.fullmatch, types))


def with_times_of_rows(batches: Any) -> Iterator[Any]:
    """The record ``batches`` of a relation, with the times that its rows have.

    These have the last time of Python's for one that is infinite, and text for one before Christ,
    after the year 9999 or at 24:00, none of which is a time to Python. A column of a batch with
    such times is one of text, as JSON has it without the quotes.
    """
    with ExitStack() as stack:

        @cache
        def connection() -> Any:
            # The relation's own is not to be had, and the one that DuckDB shares may be in use.
            import duckdb

            return stack.enter_context(duckdb.connect())

        for batch in batches:
            yield _with_times_of_rows(batch, connection)


def _with_times_of_rows(batch: Any, connection: Callable[[], Any]) -> Any:
    from pyarrow import RecordBatch

    columns = [_with_texts(column, connection) for column in batch.columns]
    if all(map(lambda new, old: new is old, columns, batch.columns)):
        return batch
    return RecordBatch.from_arrays(columns, names=batch.schema.names)


def _with_texts(column: Any, connection: Callable[[], Any]) -> Any:
    """``column``, or the texts of its times where Python does not have one of them."""
    bounds = _bounds(column.type)
    if bounds is None:
        return column
    import pyarrow
    from pyarrow import compute

    # No type checker knows its functions.
    pc: Any = compute
    first, end = bounds
    ticks = column.view(pyarrow.int32() if column.type.bit_width == 32 else pyarrow.int64())
    low, high = pc.min_max(ticks).as_py().values()
    if low is None or (first <= low and high < end):
        return column
    is_odd = pc.fill_null(pc.or_(pc.less(ticks, first), pc.greater_equal(ticks, end)), False)
    odd = column.filter(is_odd)
    zone = getattr(column.type, "tz", None)
    if zone is not None:
        connection().execute(f"SET TimeZone = '{zone}'")
    relation = connection().from_arrow(pyarrow.table({"odd": odd}))
    values = iter([value for (value,) in relation.fetchall()])
    others = values_of_arrow(
        pc.replace_with_mask(column, is_odd, pyarrow.nulls(len(odd), odd.type))
    )
    texts = [
        None if value is None else json_of(value).decode().strip('"')
        for value in (
            next(values) if each else other
            for each, other in zip(is_odd.to_pylist(), others, strict=True)
        )
    ]
    return pyarrow.array(texts, pyarrow.string())


def _bounds(kind: Any) -> tuple[int, int] | None:
    """The first of the ticks that are a time to Python, and the one behind the last; None of a type
    whose values all have one, or are no times."""
    from pyarrow import types

    first, end = DAYS
    if types.is_date32(kind):
        return first, end
    if types.is_time64(kind):
        return 0, DAY_TICKS[kind.unit]
    if types.is_timestamp(kind):
        day = DAY_TICKS[kind.unit]
        if kind.tz is not None:
            # Its time in the zone is another one, by less than a day.
            first, end = first + 1, end - 1
        return max(first * day, 1 - INFINITY), min(end * day, INFINITY)
    return None
