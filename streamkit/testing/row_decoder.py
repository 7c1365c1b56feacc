"""A client's side of an export: its rows, as they arrive."""

import codecs
import csv
import json
import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["ROW_FORMATS", "RowDecoder"]

# An element of an array is whole once something follows it, since a number might go on.
JSON_BEFORE: Final = re.compile(r"\s*[\[,]\s*")
JSON_AFTER: Final = re.compile(r"\s*(?=[,\]])")

# RFC 4180, section 2: a line end inside quotes ends no row.
CSV_ROW: Final = re.compile(r'(?:[^"\n]++|"[^"]*+")*+\n')


def json_rows(text: str) -> tuple[list[Any], str]:
    """The elements of a JSON array that are whole, and the text after them.

    What is no JSON value, or is not a whole one yet, is left with that text.
    """
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
    """The values of the lines that have ended, and the text after them.

    Raises ValueError for a line that is no JSON value.
    """
    *lines, rest = text.split("\n")
    return [*map(json.loads, lines)], rest


def csv_rows(text: str) -> tuple[list[Any], str]:
    """The cells of the lines that have ended, a list of str a line, and the text after them."""
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
"""By media type, what takes text and returns the rows that are whole and the text that is left."""


class RowDecoder:
    """Takes an export in pieces of any size. A row is a JSON value, or the list of a line's cells.

    ``media_type`` is one of ``ROW_FORMATS``.
    """

    def __init__(self, media_type: str) -> None:
        self._rows = ROW_FORMATS[media_type]
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text = ""

    def feed(self, chunk: bytes) -> list[Any]:
        """The rows that end in ``chunk``. Raises ValueError for broken UTF-8 or ndjson."""
        rows, self._text = self._rows(self._text + self._utf8.decode(chunk))
        return rows
