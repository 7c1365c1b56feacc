"""Comma-separated values."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec

from streamkit.encoders.row import RowEncoder
from streamkit.rows.values import json_arrays, json_of

__all__ = ["TEXT_TYPES", "CsvEncoder", "cell_text"]

UNQUOTED_TYPES: Final = frozenset(
    {NoneType, bool, int, float, Decimal, datetime, date, time, timedelta, UUID}
)
"""Types whose values JSON writes with no quote, comma or backslash inside, faster than ``str``."""

TEXT_TYPES: Final = frozenset({NoneType, str})
"""Types whose values are cells already, but for the quotes around them."""

ESCAPES: Final = tuple(
    (f"\\{letter}".encode(), character.encode())
    for letter, character in zip("nrtbf", "\n\r\t\b\f", strict=True)
)
"""What JSON writes in the place of characters, and these."""

CONTROL: Final = re.compile(rb"\\u00(..)")
"""What it writes of the other characters below U+0020."""

BACKSLASH, QUOTE = b"\xfe", b"\xff"
"""Stand for a cell's own while those of JSON are taken away: bytes that are nowhere in UTF-8."""


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
        delimiter = self.delimiter
        self._special = f'{delimiter}"\r\n'
        """What a reader needs quotes around (RFC 4180, section 2)."""
        self._quoted = re.compile(rf"[{self._special}]|\A\s|\s\Z|\A\Z")
        # What is between the values of an array is a comma. Where it is to be something else, that
        # and the commas of texts change places before, and all of them change back.
        is_comma = delimiter == ","
        there, back = f",{delimiter}", f"{delimiter},"
        self._places = None if is_comma else str.maketrans(there, back)
        self._places_back = None if is_comma else bytes.maketrans(back.encode(), there.encode())

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

    def _write_arrow(self, columns: Sequence[Any]) -> bytes:
        # pyarrow need not be there, and takes a while to import.
        from streamkit.encoders.arrow_text import arrow_csv

        # In a row of one cell a null is quoted.
        return arrow_csv(columns, self._texts) if len(columns) > 1 else b""

    def _texts(self, column: Sequence[Any]) -> Sequence[str]:
        """The texts of the cells of a column, with quotes where they need them."""
        cells = self._cells(column)
        if {*map(type, cells)} <= {str}:
            return cells
        return json_arrays(cells).decode().replace('"', "").split("\n")[:-1]

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
        """The rows of ``values``, which are columns.

        They are written as arrays of JSON, in one call, and what is JSON's of it is taken away.
        """
        columns = [*map(self._cells, values)]
        if len(columns) == 1:
            # Readers skip empty lines.
            columns = [[cell if cell != "" else '""' for cell in columns[0]]]
        text = json_arrays([*zip(*columns, strict=True)])
        # JSON escapes each line end inside of a text, so that these are between rows.
        text = text[1:-2].replace(b"]\n[", b"\r\n") + b"\r\n"
        if b"\\" not in text:
            return text.translate(self._places_back, b'"')
        text = text.replace(rb"\\", BACKSLASH).replace(rb"\"", QUOTE)
        text = text.translate(self._places_back, b'"')
        if b"\\" in text:
            for escape, character in ESCAPES:
                text = text.replace(escape, character)
            text = CONTROL.sub(_control, text)
        return text.replace(QUOTE, b'"').replace(BACKSLASH, b"\\")

    def _frame(self, text: bytes) -> bytes:
        return text if text.endswith(b"\n") else text + b"\n"

    def _cells(self, column: Sequence[Any]) -> Sequence[Any]:
        """The values of a column such that JSON has their cells, but for its quotes."""
        types = {*map(type, column)}
        if types <= UNQUOTED_TYPES:
            if NoneType in types:
                column = ["" if value is None else value for value in column]
            if float in types:
                return _finite(column, types)
            return column
        if not types <= TEXT_TYPES:
            column = [cell_text(value) for value in column]
        texts = [*filter(None, column)]
        joined = "".join(texts)
        if (
            "" in column
            or any(special in joined for special in self._special)
            or [*map(str.strip, texts)] != texts
        ):
            column = [self._quote(text) for text in column]
        elif len(texts) < len(column):
            column = ["" if text is None else text for text in column]
        if self._places and ("," in joined or self.delimiter in joined):
            column = [*map(self._swap, column)]
        return column

    def _quote(self, text: str | None) -> str:
        """The text of a cell, with quotes around it if it needs them."""
        if text is None:
            return ""
        if self._quoted.search(text):
            text = text.replace('"', '""')
            return f'"{text}"'
        return text

    def _swap(self, text: str) -> str:
        """``text`` with commas and delimiters in each other's place."""
        return text.translate(self._places) if self._places else text


def _control(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())


def _finite(column: Sequence[Any], types: set[type]) -> Sequence[Any]:
    """The values of a column, nothing in the place of a float that JSON has null for."""
    floats = column if types == {float} else [value for value in column if type(value) is float]
    # The sum of floats is finite only if all of them are.
    if isfinite(sum(floats)):
        return column
    return ["" if type(value) is float and not isfinite(value) else value for value in column]


def cell_text(value: Any) -> str | None:
    """A value as the text of its cell; None for what JSON has null for."""
    if value is None or type(value) is str:
        return value
    text = json_of(value).decode()
    if text == "null":
        return None
    return msgspec.json.decode(text, type=str) if text.startswith('"') else text
