"""One JSON array."""

from collections.abc import Sequence
from typing import Any

from streamkit.encoders.row import RowEncoder
from streamkit.rows.values import json_lines

__all__ = ["JsonEncoder"]


class JsonEncoder(RowEncoder):
    """One JSON array of all rows, a row a line; without its ``]`` if the stream breaks off.

    RFC 8259. What ``serialize`` returns is an element of the array.
    """

    has_distinct_columns = True

    _separator = b"\n"

    def begin(self) -> bytes:
        return b"["

    def end(self) -> bytes:
        return b"\n]\n"

    def _read(self, rows: Sequence[Any]) -> Sequence[Any]:
        return self._columns.records(rows, self._number)

    def _arrange(self, columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
        return self._columns.objects(columns)

    def _write(self, values: Sequence[Any]) -> bytes:
        # A line end inside of a JSON value is always escaped, so that each one here ends a row.
        return self._frame(json_lines(values)[:-1].replace(b"\n", b",\n"))

    def _write_arrow(self, columns: Sequence[Any]) -> bytes:
        # pyarrow need not be there, and takes a while to import.
        from streamkit.encoders.arrow_text import arrow_json

        end = ",\n"
        rows = arrow_json(columns, self._columns.titles or (), end)
        return self._frame(rows.removesuffix(end.encode()))

    def _frame(self, text: bytes) -> bytes:
        text = self._separator + text
        self._separator = b",\n"
        return text
