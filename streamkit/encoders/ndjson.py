"""One JSON value a line."""

from collections.abc import Sequence
from typing import Any

from streamkit.encoders.row import RowEncoder
from streamkit.rows.values import json_lines

__all__ = ["NdjsonEncoder"]


class NdjsonEncoder(RowEncoder):
    """Newline-delimited JSON: one value a line, each line ended by ``\\n``.

    Raises ValueError if ``serialize`` returns more than one line, which would be read as rows.
    """

    has_distinct_columns = True

    def _read(self, rows: Sequence[Any]) -> Sequence[Any]:
        return self._columns.records(rows, self._number)

    def _arrange(self, columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
        return self._columns.objects(columns)

    def _write(self, values: Sequence[Any]) -> bytes:
        return json_lines(values)

    def _write_arrow(self, columns: Sequence[Any]) -> bytes:
        # pyarrow need not be there, and takes a while to import.
        from streamkit.encoders.arrow_text import arrow_json

        return arrow_json(columns, self._columns.titles or (), "\n")

    def _frame(self, text: bytes) -> bytes:
        line = text.removesuffix(b"\n")
        if b"\n" in line:
            raise ValueError(
                f"serialize must return one line for a row of ndjson, got several for row "
                f"{self._number}"
            )
        return line + b"\n"
