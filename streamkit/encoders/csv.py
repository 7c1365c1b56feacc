"""Comma-separated values."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec

from streamkit.encoders.row import RowEncoder
from streamkit.rows.values import json_lines, json_of

__all__ = ["TEXT_TYPES", "CsvEncoder", "cell_text"]

VERBATIM_TYPES: Final = frozenset({NoneType, int, Decimal})
"""Types whose values ``csv.writer`` writes as they should be."""

UNQUOTED_TYPES: Final = VERBATIM_TYPES | {bool, float, datetime, date, time, timedelta, UUID}
"""Types whose values JSON writes with no quote, comma or backslash inside, faster than ``str``."""

TEXT_TYPES: Final = frozenset({NoneType, str})
"""Types whose values are cells already, but for the quotes around them."""

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

    delimiter: ClassVar[str] = ","

    def __init__(
        self,
        serialize: Callable[[Any], str | bytes] | None = None,
        columns: Sequence[str] | None = None,
        chosen: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(serialize, columns, chosen)
        self._lines = io.StringIO(newline="")
        self._writer = csv.writer(self._lines, delimiter=self.delimiter)
        self._quoted = frozenset(f'{self.delimiter}"\r\n')
        """What ``csv.writer`` itself sets quotes around (RFC 4180, section 2)."""

    def begin(self) -> bytes:
        titles = self._columns.titles
        return b"" if self._serialize is not None or titles is None else self._header(titles)

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        header = b""
        if self._serialize is None and self._columns.names is None:
            known = self._columns.titles is not None
            has_names = self._learn(batch[0])
            header = b"" if known else self._header(self._columns.names or ())
            if not has_names:
                yield header
                header = b""
                self._number += 1
                batch = batch[1:]
        for piece in super().encode(batch) if batch else ():
            yield header + piece
            header = b""

    def _learn(self, row: Any) -> bool:
        try:
            return self._columns.learn(row)
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
        self._writer.writerows(zip(*map(self._cells, values), strict=True))
        return self._lines.getvalue().replace(QUOTE_MARK, '"').encode()

    def _frame(self, text: bytes) -> bytes:
        return text if text.endswith(b"\n") else text + b"\n"

    def _cells(self, column: Sequence[Any]) -> Sequence[Any]:
        """The values of a column as ``csv.writer`` is to write them."""
        types = {*map(type, column)}
        if types <= VERBATIM_TYPES:
            return column
        if types <= UNQUOTED_TYPES:
            lines = json_lines(column).decode()
            return lines.replace('"', "").replace("null", "").split("\n")[:-1]
        if not types <= TEXT_TYPES:
            column = [cell_text(value) for value in column]
        texts = [*filter(None, column)]
        joined = "".join(texts)
        if QUOTE_MARK in joined:
            # This raises UnicodeEncodeError, as a text that has the mark in it has a lone
            # surrogate: it is repaired then, and not taken for a quote.
            joined.encode()
        if "" in column or [*map(str.strip, texts)] != texts:
            return [self._marked(text) for text in column]
        return column

    def _marked(self, text: str | None) -> str | None:
        """``text`` between marks if it needs quotes that ``csv.writer`` would not set."""
        if text is None or text.strip() == text != "" or not self._quoted.isdisjoint(text):
            return text
        return f"{QUOTE_MARK}{text}{QUOTE_MARK}"


def cell_text(value: Any) -> str | None:
    """A value as the text of its cell; None for what JSON has null for."""
    if value is None or type(value) is str:
        return value
    text = json_of(value).decode()
    if text == "null":
        return None
    return msgspec.json.decode(text, type=str) if text.startswith('"') else text
