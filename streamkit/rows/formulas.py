"""What keeps a spreadsheet from running the text of a cell."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from operator import is_
from types import NoneType
from typing import Any, Final
from uuid import UUID

from streamkit.rows.reading import read
from streamkit.rows.values import repaired

__all__ = ["escape_formulas"]

HARMLESS_TYPES: Final = frozenset(
    {NoneType, bool, int, float, Decimal, datetime, date, time, UUID, list, tuple, dict}
)
"""Types whose values are numbers to a spreadsheet, or never begin like a formula as text."""

FORMULA_START: Final = re.compile(
    r"\s*(?:[=+@＝＋＠－]|-(?![0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\s*\Z)|(?<=[\t\r\n]))"  # noqa: RUF001
)
"""How a text begins that a spreadsheet would run: see ``escape_formulas``.

OWASP's page "CSV Injection" names ``=``, ``+``, ``-``, ``@``, tab and CR.
"""


def escape_formulas(row: Any) -> Any:
    """``row`` with a single quote before each text that a spreadsheet would run.

    Such text begins with ``=``, ``+``, ``@`` or ``-``, or their full-width forms, with a tab, CR or
    LF, or with white space before one of these. A negative number (``-12.5``) is none, whether it
    is text or not, and the names of columns are left alone.

    Takes any row that ``export`` takes and returns one with the same columns: ``row`` itself if it
    needs no guard. Raises TypeError for what is no row.

    This changes data, for files that people open in a spreadsheet::

        StreamingService.export("orders", map(escape_formulas, rows), "csv")
    """
    names, values = read(row)
    guarded = [*map(_guarded, values)]
    if all(map(is_, guarded, values)):
        return row
    if isinstance(row, Mapping):
        return dict(zip(row, guarded, strict=True))
    if names is None:
        return tuple(guarded) if isinstance(row, tuple) else guarded
    if hasattr(row, "_make"):
        return row._make(guarded)
    return _Row(names, guarded)


def _guarded(value: Any) -> Any:
    if type(value) in HARMLESS_TYPES:
        return value
    text = str.__str__(value) if isinstance(value, str) else repaired(value)
    return f"'{text}" if isinstance(text, str) and FORMULA_START.match(text) else value


class _Row(tuple[Any, ...]):
    """Values under the names of the row that they come from, which may repeat."""

    _fields: tuple[Any, ...] = ()

    def __new__(cls, names: tuple[Any, ...], values: list[Any]) -> "_Row":
        row = super().__new__(cls, values)
        row._fields = names
        return row
