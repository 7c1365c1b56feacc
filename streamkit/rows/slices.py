"""Some rows of a frame or an Arrow table as one element, column by column."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from streamkit.rows.durations import duration

__all__ = [
    "ROWS_AT_ONCE",
    "Slice",
    "slices_of_arrow",
    "slices_of_pandas",
    "slices_of_polars",
    "values_of_arrow",
]

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
        yield Slice([*map(_values_of_polars, frame.slice(start, ROWS_AT_ONCE).get_columns())])


def _values_of_polars(column: Any) -> Sequence[Any]:
    """What the rows of a frame of polars have in a column: text for a time with nanoseconds."""
    kind = column.dtype
    name = str(kind.base_type())
    zone = getattr(kind, "time_zone", None)
    if zone in (None, "UTC"):
        values: Sequence[Any] = column.to_list()
    else:
        # It takes a while to import.
        from zoneinfo import ZoneInfo

        # A time before 1971 is another one where polars has another offset of the zone than Python.
        moments = column.dt.convert_time_zone("UTC").to_list()
        local = ZoneInfo(zone)
        values = [moment and moment.astimezone(local) for moment in moments]
    if name == "Time" or getattr(kind, "time_unit", "") == "ns":
        # No type of Python has a place for nanoseconds, and to_list() leaves them out.
        ticks = column.to_physical().to_list()
        values = [
            _precise(name, value, each) if each and each % 1000 else value
            for value, each in zip(values, ticks, strict=True)
        ]
    return values


def _precise(name: str, value: Any, ticks: int) -> str:
    """The text of a time whose nanoseconds are those of ``ticks``."""
    if name == "Duration":
        return duration(ticks, 9)
    text: str = value.replace(microsecond=0).isoformat()
    at = text.index(":") + 6
    zone = text[at:].replace("+00:00", "Z")
    return f"{text[:at]}.{ticks % 1_000_000_000:09d}{zone}"


# Rows without columns are not told from none.


def slices_of_arrow(batches: Any) -> Iterator[Slice]:
    for batch in batches:
        if not batch.num_columns:
            continue
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            columns = batch.slice(start, ROWS_AT_ONCE).columns
            yield Slice([*map(values_of_arrow, columns)])


def values_of_arrow(column: Any) -> Sequence[Any]:
    """What the rows of an Arrow table have in a column: text for a time with nanoseconds."""
    values: Sequence[Any]
    kind = str(column.type)
    if not kind.startswith(("time64[ns", "timestamp[ns", "duration[ns")):
        values = column.to_pylist()
        return values
    # to_pylist() has no place for nanoseconds where pandas is not installed, and in a time of the
    # day it leaves them out.
    import pyarrow

    ticks = column.cast(pyarrow.int64()).to_pylist()
    rounded = pyarrow.array([each and each // 1000 for each in ticks], pyarrow.int64())
    micro = _in_microseconds(pyarrow, column.type)
    name = kind.partition("[")[0].capitalize()
    return [
        _precise(name, value, each) if each and each % 1000 else value
        for value, each in zip(rounded.view(micro).to_pylist(), ticks, strict=True)
    ]


def _in_microseconds(pyarrow: Any, kind: Any) -> Any:
    """The type of times of this ``kind``, which are in nanoseconds, in microseconds."""
    types = pyarrow.types
    if types.is_timestamp(kind):
        return pyarrow.timestamp("us", kind.tz)
    return pyarrow.time64("us") if types.is_time(kind) else pyarrow.duration("us")


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
