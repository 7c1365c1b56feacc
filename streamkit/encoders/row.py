"""What the encoders of an export have in common."""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from streamkit.encoders.base import Encoder
from streamkit.rows.frames import Records
from streamkit.rows.reading import Columns
from streamkit.rows.slices import Slice, slices_of_arrow
from streamkit.rows.values import json_of, repaired

__all__ = ["RowEncoder"]

_NUMBERED: Final = re.compile(r"row \d+[ ,]")
"""How an error of ours begins that has told already which row it is about."""


class RowEncoder(Encoder):
    """Encodes rows, a batch in one call of a library.

    ``serialize`` turns a row into its own text, which is sent as it is. ``columns`` are the names
    that the source knows for the values of its rows, and ``chosen`` those that are exported, each
    with its title.

    Raises TypeError for a row or value that the format has no form for, and for a ``serialize``
    that returns anything but text, and ValueError for columns of one name in a format that finds
    values by it.
    """

    has_distinct_columns: ClassVar[bool] = False
    """Whether the values of a row are found by the names of their columns, which may not repeat."""

    def __init__(
        self,
        serialize: Callable[[Any], str | bytes] | None = None,
        columns: Sequence[str] | None = None,
        chosen: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._serialize = serialize
        distinct = self.has_distinct_columns and serialize is None
        self._columns = Columns(columns, chosen, distinct=distinct)
        self._number: int = 1
        """The number of the next row, for what an error says."""

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        if self._serialize is not None:
            for row in batch:
                yield self._frame_serialized(self._serialize(row))
            return
        if type(batch[0]) is Slice:
            for part in batch:
                yield from self._encode_slice(part)
            return
        if type(batch[0]) is Records:
            for records in batch:
                yield from self._encode_records(records.batch)
            return
        try:
            piece = self._write(self._read(batch))
        except Exception:
            # The rows are encoded one by one, so that those before the one that fails are sent, or
            # that only the one with a lone surrogate is repaired.
            for row in batch:
                yield self._encode_row(row)
        else:
            self._number += len(batch)
            yield piece

    def _encode_slice(self, part: Slice) -> Iterator[bytes]:
        columns = part.columns
        try:
            piece = self._write(self._arrange(self._columns.pick(columns)))
        except Exception:
            yield from map(self._encode_row, zip(*columns, strict=True))
        else:
            self._number += len(columns[0])
            yield piece

    def _encode_records(self, records: Any) -> Iterator[bytes]:
        """The rows of a record batch of Arrow.

        Those that it does not write are encoded as any others: where a value has no form, or is to
        be repaired.
        """
        try:
            piece = self._write_arrow(self._columns.pick(records.columns))
        except Exception:
            piece = b""
        if piece:
            self._number += records.num_rows
            yield piece
            return
        for part in slices_of_arrow([records]):
            yield from self._encode_slice(part)

    def _encode_row(self, row: Any) -> bytes:
        try:
            piece = self._write_repaired(self._read([row]))
        except Exception as error:
            self._locate(error, row)
            raise
        self._number += 1
        return piece

    def _locate(self, error: Exception, row: Any) -> None:
        """Say in ``error`` which row it is about, and which of its columns if that can be told.

        It stays the error that it is, as it may be one of a row's own code.
        """
        where = f"row {self._number}"
        column = self._unencodable(row)
        if column is not None:
            where = f"{where}, column {column}"
        if not _is_ours(error):
            error.add_note(f"It was raised for {where} of the export.")
        elif not _NUMBERED.match(str(error)):
            error.args = (f"{where}: {error}",)

    def _unencodable(self, row: Any) -> str | None:
        """The column of the first value that has no form; None if it is not one value's fault."""
        try:
            for column, value in self._columns.cells(row, self._number):
                try:
                    self._check(value)
                except UnicodeEncodeError:
                    # This one is repaired.
                    continue
                except Exception:
                    return column
        except Exception:
            return None
        return None

    def _write_repaired(self, values: Sequence[Any]) -> bytes:
        try:
            return self._write(values)
        except UnicodeEncodeError:
            piece = self._write(self._repair(values))
            self.repaired += 1
            return piece

    def _repair(self, values: Sequence[Any]) -> Sequence[Any]:
        """What ``_read`` returned, each lone surrogate as U+FFFD."""
        found: Sequence[Any] = repaired(values)
        return found

    def _frame_serialized(self, text: Any) -> bytes:
        if not isinstance(text, str | bytes):
            raise TypeError(
                "serialize must return all of a row's text as str or bytes, got "
                f"{type(text).__name__}: to change a value of a row, yield another row"
            )
        piece = self._frame(self._utf8(text) if isinstance(text, str) else text)
        self._number += 1
        return piece

    def _check(self, value: Any) -> None:
        """Raise what ``_write`` raises of a ``value``."""
        json_of(value)

    @abstractmethod
    def _read(self, rows: Sequence[Any]) -> Sequence[Any]:
        """What ``_write`` takes of ``rows``: records, or columns."""

    def _arrange(self, columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """What ``_write`` takes of the columns of rows."""
        return columns

    @abstractmethod
    def _write(self, values: Sequence[Any]) -> bytes:
        """The bytes of what ``_read`` returned. Nothing has changed if it raises.

        Raises UnicodeEncodeError for a lone surrogate.
        """

    def _write_arrow(self, columns: Sequence[Any]) -> bytes:
        """As ``_write``, of columns of Arrow; nothing if they are to be written as values."""
        return b""

    @abstractmethod
    def _frame(self, text: bytes) -> bytes:
        """A row's own text, from ``serialize``, as it stands among others."""


def _is_ours(error: Exception) -> bool:
    """Whether the error was raised here, and is not one of a row's own code, which may go on to it.

    One of a library's that has no code in Python, such as msgspec's, is taken for ours.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    name = "" if traceback is None else traceback.tb_frame.f_globals.get("__name__", "")
    return type(error) in (TypeError, ValueError) and name.startswith("streamkit.")
