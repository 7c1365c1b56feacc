"""A client's side of an export: its rows, as they arrive."""

import codecs
import csv
import json
import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["ROW_FORMATS", "RowDecoder"]

# An element of an array is whole when something follows it: a number might go on.
JSON_BEFORE: Final = re.compile(r"\s*[\[,]\s*")
JSON_AFTER: Final = re.compile(r"\s*(?=[,\]])")

# A line end inside quotes ends no row.
CSV_ROW: Final = re.compile(r'(?:[^"\n]++|"[^"]*+")*+\n')


def json_rows(text: str) -> tuple[list[Any], str]:
    rows: list[Any] = []
    while before := JSON_BEFORE.match(text):
        try:
            row, end = json.JSONDecoder().raw_decode(text, before.end())
        except ValueError:
            break
        after = JSON_AFTER.match(text, end)
        if after is None:
            break
        rows.append(row)
        text = text[after.end() :]
    return rows, text


def ndjson_rows(text: str) -> tuple[list[Any], str]:
    *lines, rest = text.split("\n")
    return [*map(json.loads, lines)], rest


def csv_rows(text: str) -> tuple[list[Any], str]:
    rows: list[Any] = []
    end = 0
    while row := CSV_ROW.match(text, end):
        end = row.end()
        rows.extend(csv.reader([row[0]]))
    return rows, text[end:]


ROW_FORMATS: Final[dict[str, Callable[[str], tuple[list[Any], str]]]] = {
    "application/json": json_rows,
    "application/x-ndjson": ndjson_rows,
    "text/csv": csv_rows,
}
"""By media type: the rows that are whole, and the text that is left."""


class RowDecoder:
    """Takes an export in pieces of any size. A row is a JSON value, or the list of a line's cells.

    ``media_type`` is one of ``ROW_FORMATS``.
    """

    def __init__(self, media_type: str) -> None:
        self._rows = ROW_FORMATS[media_type]
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text = ""

    def feed(self, chunk: bytes) -> list[Any]:
        """The rows that end in ``chunk``. Raises ValueError for broken UTF-8 or JSON."""
        rows, self._text = self._rows(self._text + self._utf8.decode(chunk))
        return rows
