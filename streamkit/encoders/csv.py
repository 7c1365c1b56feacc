"""Comma-separated values."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final
from uuid import UUID

import msgspec

from streamkit.encoders.row import RowEncoder
from streamkit.rows.reading import read
from streamkit.rows.values import json_lines, json_of

__all__ = ["CsvEncoder"]

VERBATIM_TYPES: Final = frozenset({NoneType, int, Decimal})
"""Types whose values ``csv.writer`` writes as they should be."""

UNQUOTED_TYPES: Final = VERBATIM_TYPES | {bool, float, datetime, date, time, timedelta, UUID}
"""Types whose values JSON writes with no quote, comma or backslash inside, faster than ``str``."""

TEXT_TYPES: Final = frozenset({NoneType, str})
"""Types whose values are cells already, but for the quotes around them."""

QUOTED_CHARACTERS: Final = frozenset(',"\r\n')
"""What ``csv.writer`` itself sets quotes around (RFC 4180, section 2)."""

QUOTE_MARK: Final = "\udc22"
"""Stands for a quote that ``csv.writer`` would not set. No text that can be sent has it in it."""


class CsvEncoder(RowEncoder):
    """CSV with a header row, lines ended by CRLF and quotes where a reader needs them.

    A cell is its value in JSON: text without the quotes, nothing for null, and JSON itself for a
    container. Quotes are set around a cell with a comma, a quote or a line end in it, around one
    with white space at an end, and around an empty text, which is not a null. (In a row of one
    cell a null is quoted as well, because readers skip empty lines.)

    The columns are those that the source knows, else those of the first row; a plain sequence has
    no names, and as the first row it is the header. A later row may lack columns. With
    ``serialize`` there is no header: each row is the text that it returns, with a ``\\n`` added if
    it has none at its end.

    RFC 4180. Raises ValueError for a row with more columns than the header.
    """

    def __init__(
        self,
        serialize: Callable[[Any], str | bytes] | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(serialize, columns)
        self._lines = io.StringIO(newline="")
        self._writer = csv.writer(self._lines)

    def begin(self) -> bytes:
        if self._serialize is not None or self._columns.names is None:
            return b""
        return self._header(self._columns.names)

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        header = b""
        if self._serialize is None and self._columns.names is None:
            names, values = self._read_first(batch[0])
            self._columns.names = tuple(values) if names is None else names
            header = self._header(self._columns.names)
            if names is None:
                yield header
                header = b""
                self._number += 1
                batch = batch[1:]
        for piece in super().encode(batch) if batch else ():
            yield header + piece
            header = b""

    def _read_first(self, row: Any) -> tuple[tuple[Any, ...] | None, Sequence[Any]]:
        try:
            return read(row)
        except Exception as error:
            self._locate(error, row)
            raise

    def _header(self, names: Sequence[Any]) -> bytes:
        return self._write_repaired([[name] for name in names])

    def _read(self, rows: Sequence[Any]) -> Sequence[Any]:
        return self._columns.values(rows, self._number)

    def _write(self, values: Sequence[Any]) -> bytes:
        """The rows of ``values``, which are columns."""
        self._lines.seek(0)
        self._lines.truncate()
        self._writer.writerows(zip(*map(_cells, values), strict=True))
        return self._lines.getvalue().replace(QUOTE_MARK, '"').encode()

    def _frame(self, text: bytes) -> bytes:
        return text if text.endswith(b"\n") else text + b"\n"


def _cells(column: Sequence[Any]) -> Sequence[Any]:
    """The values of a column as ``csv.writer`` is to write them."""
    types = {*map(type, column)}
    if types <= VERBATIM_TYPES:
        return column
    if types <= UNQUOTED_TYPES:
        lines = json_lines(column).decode()
        return lines.replace('"', "").replace("null", "").split("\n")[:-1]
    if not types <= TEXT_TYPES:
        column = [_text(value) for value in column]
    texts = [*filter(None, column)]
    joined = "".join(texts)
    if QUOTE_MARK in joined:
        # This raises UnicodeEncodeError, as a text that has the mark in it has a lone surrogate: it
        # is repaired then, and not taken for a quote.
        joined.encode()
    if "" in column or [*map(str.strip, texts)] != texts:
        return [_marked(text) for text in column]
    return column


def _text(value: Any) -> str | None:
    """A value as the text of its cell; None for what JSON has null for."""
    if value is None or type(value) is str:
        return value
    text = json_of(value).decode()
    if text == "null":
        return None
    return msgspec.json.decode(text, type=str) if text.startswith('"') else text


def _marked(text: str | None) -> str | None:
    """``text`` between marks if it needs quotes that ``csv.writer`` would not set."""
    if text is None or text.strip() == text != "" or not QUOTED_CHARACTERS.isdisjoint(text):
        return text
    return f"{QUOTE_MARK}{text}{QUOTE_MARK}"
