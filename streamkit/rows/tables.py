"""Sources that know their columns: cursors, query results, frames and Arrow tables.

They are told by what they offer and not by their types, so that none of their libraries is needed.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, Protocol

from streamkit.rows.drivers import examples_of_result
from streamkit.rows.header import Header
from streamkit.rows.slices import ROWS_AT_ONCE, slices_of_arrow, slices_of_pandas, slices_of_polars
from streamkit.source import Inline, inline

__all__ = ["Slices", "Table", "check_rows", "is_in_batches", "read_table"]

NOT_ROWS: Final = {
    "DataFrame.items": "names of columns, each with its column",
    "DataFrame.iterrows": "labels of the index, each with a Series",
}
"""What methods of pandas' frames yield that looks like rows, by the names of their generators."""


class Table(Protocol):
    """A frame, a relation or an Arrow table, which need not be iterable."""

    @property
    def columns(self) -> Any:
        """The names of its columns, or what stands for the columns themselves."""


def check_rows(source: Any) -> None:
    """Raise TypeError for a part of a frame that is no rows: a column, or what iterrows yields.

    A mapping is refused as well, since it may be one row, or hold columns.
    """
    if isinstance(source, Inline):
        source = source.iterable
    if isinstance(source, Mapping):
        raise TypeError(
            "rows must be an iterable of rows or a frame, got one mapping: put it in a list if it "
            "is a row. If it holds columns, pass zip(*d.values()) with columns=[*d], or a frame "
            "made of it"
        )
    kind = type(source)
    library, name = kind.__module__.partition(".")[0], kind.__name__
    # Values of a column may be rows themselves: of a struct, or of an index of several levels.
    if (
        library in ("pandas", "polars")
        and name.endswith(("Series", "Index"))
        and name != "MultiIndex"
        and not str(source.dtype).startswith("Struct")
    ):
        raise TypeError(
            f"rows must be a frame or an iterable of rows, got a {name}, which is one column: pass "
            "its to_frame()"
        )
    made_by = getattr(getattr(source, "gi_code", None), "co_qualname", "")
    frame = getattr(source, "gi_frame", None)
    if made_by in NOT_ROWS and frame and frame.f_globals["__name__"].startswith("pandas."):
        raise TypeError(
            f"rows must be a frame or an iterable of rows, got what {made_by}() yields, which is "
            f"{NOT_ROWS[made_by]}: pass the frame itself"
        )


def read_table(source: Any, *, in_rows: bool = False) -> tuple[Any, Sequence[Any] | None]:
    """The rows of ``source`` and the names of their columns; ``source`` and None if it knows none.

    Known are DB-API cursors (PEP 249) and their async likes, results of SQLAlchemy's, frames of
    pandas and polars, relations of DuckDB, and tables, record batches and their readers of Arrow.
    The rows are iterable once, sync or async as the source is; to close them closes the source.
    Those of frames and of Arrow come as a ``Slice`` of many each, unless ``in_rows`` forbids it.
    """
    if isinstance(source, Inline):
        rows, names = read_table(source.iterable, in_rows=in_rows)
        return inline(rows), names
    if _yields_entities(source):
        source = source.scalars()
    if hasattr(source, "fetchmany"):
        rows = _begun(source) if _hides_description(source) else _fetched(source)
        return rows, _names_of_result(source)
    if hasattr(source, "iter_rows"):
        if in_rows or not hasattr(source, "get_columns"):
            return Rows(source, source.iter_rows), source.columns
        return Slices(source, partial(slices_of_polars, source)), source.columns
    if hasattr(source, "itertuples"):
        # The names of pandas' columns are of any type, numbers for one.
        names = [*map(str, source.columns)]
        if in_rows:
            return Rows(source, partial(source.itertuples, index=False, name=None)), names
        return Slices(source, partial(slices_of_pandas, source)), names
    if hasattr(source, "read_next_batch"):
        return _of_arrow(source, source, in_rows), source.schema.names
    if hasattr(source, "to_pylist") and hasattr(source, "schema"):
        return _of_arrow(source, [source], in_rows), source.schema.names
    return source, None


def is_in_batches(rows: Any) -> bool:
    """Whether each element of what was read is many rows."""
    return isinstance(rows.iterable if isinstance(rows, Inline) else rows, Slices)


def _of_arrow(source: Any, batches: Any, in_rows: bool) -> "Rows":
    slices = partial(slices_of_arrow, batches)
    if not in_rows:
        return Slices(source, slices)
    return Rows(
        source, lambda: (row for each in slices() for row in zip(*each.columns, strict=True))
    )


def _yields_entities(result: Any) -> bool:
    """Whether the rows of a result of SQLAlchemy's are entities, one each, as of ``select(Order)``.

    Nothing public tells before the first row; SQLAlchemy keeps it for its own ``scalars()``.
    """
    known = getattr(result, "_real_result", None) or result
    return getattr(known, "_source_supports_scalars", False) is True and hasattr(result, "scalars")


def _names_of_result(result: Any) -> Sequence[Any] | None:
    if hasattr(result, "keys"):
        names = [*result.keys()]
    else:
        description = getattr(result, "description", None)
        if description is None:
            return None
        names = [column[0] for column in description]
    return Header(names, partial(examples_of_result, result))


def _fetched(result: Any) -> Any:
    if hasattr(result, "__aiter__") and hasattr(result, "partitions"):
        # SQLAlchemy's async results change greenlets for each row that is iterated, and for each
        # partition only once.
        return _AsyncRows(result, partial(result.partitions, ROWS_AT_ONCE))
    if (type(result).__module__, type(result).__name__) == ("sqlite3", "Cursor"):
        return Rows(result, partial(_of_sqlite, result))
    if hasattr(result, "__iter__") or hasattr(result, "__aiter__"):
        return result
    batches = iter(partial(result.fetchmany, ROWS_AT_ONCE), [])
    return Rows(result, partial(chain.from_iterable, batches))


def _hides_description(cursor: Any) -> bool:
    """Whether it is a cursor of the server's that psycopg2 has, which does not know its columns
    before a row is fetched."""
    return (
        any(base.__module__.startswith("psycopg2.") for base in type(cursor).__mro__)
        and cursor.name is not None
        and cursor.description is None
    )


def _begun(cursor: Any) -> "Rows":
    """The rows of a cursor of which the first is fetched."""
    first = cursor.fetchmany(1)
    return Rows(cursor, partial(chain, first, cursor))


def _of_sqlite(cursor: Any) -> Iterator[Any]:
    """The rows of a cursor of sqlite3's, whose connection may be bound to another thread.

    That is not to be seen before a row is fetched.
    """
    try:
        first = cursor.fetchmany(1)
    except Exception as error:
        if "same thread" in str(error):
            error.add_note(
                "Rows are read on a thread of their own. Open the connection in a generator that "
                "yields them, or with check_same_thread=False; or pass streamkit.inline(cursor), "
                "under WSGI."
            )
        raise
    return chain(first, cursor)


class _Closing:
    """Something that is read once, and closes the source that it comes from."""

    def __init__(self, source: Any, read: Callable[[], Any]) -> None:
        self.source = source
        self._read = read

    def close(self) -> Any:
        close = getattr(self.source, "close", None)
        return close and close()


class Rows(_Closing):
    """The rows that ``read`` returns of a source which is not iterable by row itself."""

    def __iter__(self) -> Iterator[Any]:
        rows: Iterator[Any] = self._read()
        return rows


class Slices(Rows):
    """Rows that come as a ``Slice`` or a record batch of many each."""


class _AsyncRows(_Closing):
    """The rows in the async batches that ``read`` returns."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for batch in self._read():
            for row in batch:
                yield row
