"""Tables of Arrow, as a stream of their own and as Parquet files."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import starmap
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc, parquet

from streamkit.encoders.arrow_types import array_of, based, type_of, widened
from streamkit.encoders.typed import TypedEncoder

__all__ = ["ArrowEncoder", "ColumnarEncoder", "ParquetEncoder"]

MAX_GROUP_BYTES: Final = 64 * 1024 * 1024
"""Of the arrays of a group that is not written yet. A judgement: what one export may hold."""

FIRST_ROWS: Final = 65_536
"""Rows, as Python's values, whose types widen to those of their columns. A judgement, likewise."""

SAMPLE: Final = 8192
DISTINCT: Final = 0.95
"""Of so many first rows, which part has other values than those before, in a column that gets no
dictionary. A judgement: one of as many values as a dictionary may hold repeats more of them.
"""

WITHHELD: Final = 8
"""The last bytes of a message of Arrow's stream are sent with the next one.

Messages are aligned to so many (Arrow's columnar format, "Encapsulated message format"). So a
stream that is cut between two of them reads as one that is not whole.
"""


class _Sink:
    """A file that is written to, of which the bytes are taken."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, piece: Any) -> int:
        octets = bytes(piece)
        self._pieces.append(octets)
        self._size += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing: what is written is there."""

    def close(self) -> None:
        """Nothing: the writer of a broken off export is closed by the garbage collector."""

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ColumnarEncoder(TypedEncoder):
    """What Arrow and Parquet have in common: a type for each column, and rows in groups.

    The types are those of the source, if it yields record batches, else those of the first group,
    where integers and floats widen to floats, and integers and decimals to decimals. What a source
    or the class of its rows declares holds for columns without a value there, and for the places of
    decimals. A value of another type, then or later, is an error. What Arrow has no type for is
    text, as in csv.

    Compressed with zstd by itself. Raises TypeError or ValueError for a value that is not of the
    type of its column.
    """

    has_distinct_columns = True

    opening: ClassVar[bytes]
    """What every body of the format begins with, which is sent with the first row."""
    group_rows: ClassVar[int]

    def __init__(
        self, columns: Sequence[str] | None = None, chosen: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(columns, chosen)
        self._sink = _Sink()
        self._schema: Any = None
        self._declared: Sequence[Any] = self._columns.examples
        """A value of each column, or None, of the type that the source declares."""
        self._writer: Any = None
        self._types: list[Any] | None = None
        self._values: list[list[Any]] = []
        """The columns of the first group, as long as their types may widen."""
        self._batches: list[Any] = []
        self._rows = 0
        self._bytes = 0
        self._sent = 0
        self._first_number = 1
        """The number of the first row below the header."""

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        if isinstance(batch[0], pa.RecordBatch):
            for records in batch:
                yield self._write_records(records)
            return
        if self._columns.names is None:
            try:
                has_names = self._columns.learn(batch[0])
                self._declared = self._columns.examples
            except Exception as error:
                self._locate(error, batch[0])
                raise
            if not has_names:
                self._number += 1
                self._first_number = self._number
                batch = batch[1:]
                yield self._take()
        if batch:
            yield from super().encode(batch)

    def end(self) -> bytes:
        if self._schema is None:
            self._begin()
        self._flush()
        if self._writer is None:
            schema: Any = self._schema
            self._writer = self._writer_of(schema.empty_table())
        self._writer.close()
        return self._take(is_whole=True)

    def _write(self, values: Sequence[Any]) -> bytes:
        columns = [*map(based, values)]
        if self._schema is None:
            types = [*map(type_of, columns)]
            self._types = [*map(widened, self._types or types, types)]
            self._values = self._values or [[] for _ in columns]
            for known, column in zip(self._values, columns, strict=True):
                known.extend(column)
            self._rows += len(columns[0]) if columns else 0
            if self._rows >= min(FIRST_ROWS, self.group_rows):
                self._begin()
        else:
            arrays = [
                _fitting(column, field.type)
                for column, field in zip(columns, self._schema, strict=True)
            ]
            self._add(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        return self._take()

    def _write_records(self, records: Any) -> bytes:
        """Records of a source that has types, whose columns stand in the order of its names."""
        chosen, titles = self._columns.chosen, self._columns.titles
        if chosen is not None:
            places = {name: place for place, name in enumerate(records.schema.names)}
            records = records.select([places[name] for name in chosen])
            records = records.rename_columns([*(titles or ())]).replace_schema_metadata(None)
        if self._schema is None:
            self._schema = records.schema
        self._number += records.num_rows
        self._add(records)
        return self._take()

    def _check(self, value: Any) -> None:
        type_of(based([value]))

    def _unencodable(self, row: Any) -> str | None:
        """The column of the first value that is none of its column's type, too."""
        known = self._types
        if known is None:
            return super()._unencodable(row)
        try:
            [*values] = self._columns.values([row], self._number)
        except Exception:
            return None
        names = self._columns.chosen or self._columns.names or ()
        for name, kind, column in zip(names, known, values, strict=False):
            try:
                if self._schema is None:
                    widened(kind, type_of(based(column)))
                else:
                    _fitting(based(column), kind)
            except UnicodeEncodeError:
                continue
            except Exception:
                return repr(name)
        return None

    def _begin(self) -> None:
        """Write the first group, whose types are now those of all."""
        titles = [*map(str, self._columns.titles or ())]
        types = self._types or [pa.null()] * len(titles)
        declared = [type_of(based([example])) for example in self._declared]
        types = [*starmap(_settled, zip(types, declared, strict=True))]
        types = [*map(_lasting, types)]
        values = self._values or [[] for _ in titles]
        schema = pa.schema([*zip(titles, types, strict=True)])
        arrays = [*starmap(self._first_array, zip(titles, values, types, strict=True))]
        self._schema = schema
        self._types = types
        self._values = []
        self._rows = 0
        self._add(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _first_array(self, title: str, column: Sequence[Any], known: Any) -> Any:
        """An array of the first group. Its type may have become another after a value was taken."""
        try:
            return array_of(column, known)
        except ValueError:
            for number, value in enumerate(column, self._first_number):
                try:
                    array_of([value], known)
                except ValueError as error:
                    raise ValueError(f"row {number}, column {title!r}: {error}") from error
            raise

    def _add(self, records: Any) -> None:
        self._batches.append(records)
        self._rows += records.num_rows
        self._bytes += records.nbytes
        # The first group is a small one: a reader of a slow source has something of it sooner.
        rows = self.group_rows if self._writer else min(FIRST_ROWS, self.group_rows)
        if self._rows >= rows or self._bytes >= MAX_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        batches, self._batches = self._batches, []
        self._rows = self._bytes = 0
        if batches:
            table = pa.Table.from_batches(batches)
            if table.num_rows:
                if self._writer is None:
                    self._writer = self._writer_of(table)
                self._write_group(table)

    def _take(self, *, is_whole: bool = False) -> bytes:
        """What may be sent by now: the opening with the first row."""
        taken = self._taken(is_whole=is_whole)
        if not self._sent:
            taken = taken or self.opening
        elif self._sent == len(self.opening):
            taken = taken.removeprefix(self.opening)
        self._sent += len(taken)
        return taken

    def _taken(self, *, is_whole: bool) -> bytes:
        return self._sink.take()

    @abstractmethod
    def _writer_of(self, table: Any) -> Any:
        """What writes this first ``table``, and others of its schema, into the sink."""

    @abstractmethod
    def _write_group(self, table: Any) -> None:
        """Write a ``table`` as one group."""


class ArrowEncoder(ColumnarEncoder):
    """A stream of Arrow's IPC (Arrow's columnar format, "IPC Streaming Format").

    Of each message the last bytes are sent with the next one, so that a stream that is cut is not
    taken for a whole one.
    """

    opening = b"\xff\xff\xff\xff"
    group_rows = 8192

    _withheld = b""

    def _writer_of(self, table: Any) -> Any:
        options = ipc.IpcWriteOptions(compression="zstd")
        return ipc.new_stream(self._sink, table.schema, options=options)

    def _write_group(self, table: Any) -> None:
        for records in table.combine_chunks().to_batches():
            self._writer.write_batch(records)

    def _taken(self, *, is_whole: bool) -> bytes:
        written = self._withheld + self._sink.take()
        end = len(written) if is_whole else max(0, len(written) - WITHHELD)
        self._withheld = written[end:]
        return written[:end]


class ParquetEncoder(ColumnarEncoder):
    """A Parquet file, by groups of rows: its directory is at its end."""

    opening = b"PAR1"
    # The default of polars' own writer. Nothing is sent until a group is whole: at 10,000 rows a
    # second that is less than half of the minute after which nginx gives up (proxy_read_timeout).
    group_rows = 262_144

    def _writer_of(self, table: Any) -> Any:
        return parquet.ParquetWriter(
            self._sink, table.schema, compression="zstd", use_dictionary=_repeating(table)
        )

    def _write_group(self, table: Any) -> None:
        self._writer.write_table(table, row_group_size=table.num_rows)


def _repeating(table: Any) -> Any:
    """The columns of a ``table`` whose values are worth a dictionary; whether all or none are.

    To make one of values that are all different, and give it up when it is as large as one may be,
    takes a third of the time that it takes to write a file.
    """
    if any(pa.types.is_nested(kind) for kind in table.schema.types):
        # The names of columns are not those of what is in them.
        return True
    first = table.slice(0, SAMPLE)
    return [
        name
        for name, column in zip(table.column_names, first.columns, strict=True)
        if not _is_counted(column.type)
        or _distinct(column) < DISTINCT * (len(column) - column.null_count)
    ]


def _distinct(column: Any) -> int:
    count: int = pc.call_function("count_distinct", [column]).as_py()
    return count


def _is_counted(kind: Any) -> bool:
    types = pa.types
    tests = types.is_integer, types.is_floating, types.is_temporal, types.is_string
    return any(test(kind) for test in (*tests, types.is_large_string))


def _fitting(column: Sequence[Any], known: Any) -> Any:
    """An array of the ``known`` type. Raises TypeError if the values are of another one."""
    kind = type_of(column)
    # A decimal of more places may have zeros there, and is held as it is then.
    is_held = _lasting(widened(known, kind)) == known or pa.types.is_decimal128(known)
    if not is_held:
        unknown = ": its first rows have no value, and its source does not tell its type"
        raise TypeError(
            f"a column has one type, which is {known} for this one, got {kind}"
            f"{unknown if pa.types.is_null(known) else ''}"
        )
    return array_of(column, known)


def _settled(kind: Any, declared: Any) -> Any:
    """The type of a column whose first values are of one ``kind``, and another one is ``declared``.

    What is there holds: the other says what was missing in it, or how many places it may yet have.
    """
    types = pa.types
    alike = (types.is_list, types.is_decimal128)
    if types.is_null(kind) or any(is_of(kind) and is_of(declared) for is_of in alike):
        with suppress(TypeError):
            return widened(kind, declared)
    return kind


def _lasting(kind: Any) -> Any:
    """The type of a column whose first values are of this ``kind``: decimals get all digits."""
    return pa.decimal128(38, kind.scale) if pa.types.is_decimal128(kind) else kind
