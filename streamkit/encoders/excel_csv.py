"""Comma-separated values as Excel opens them by a double click."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, ClassVar, Final

from streamkit.encoders.csv import TEXT_TYPES, CsvEncoder, cell_text
from streamkit.rows.formulas import FORMULA_START
from streamkit.rows.values import json_lines

__all__ = ["DecimalCommaCsvEncoder", "ExcelCsvEncoder"]

BYTE_ORDER_MARK: Final = "\ufeff".encode()
"""By which Excel tells UTF-8 from the code page of its country."""

FRACTIONS: Final = frozenset({NoneType, float})

FLOAT_CODES: Final = frozenset("efdg")
"""Of numpy's types that are floats of any size."""


class ExcelCsvEncoder(CsvEncoder):
    """CSV for Excel where the decimal is a point: with a byte order mark.

    Times without an offset have a space in the place of their ``T``, or Excel takes them for text,
    and text that Excel would run as a formula has a single quote before it.
    """

    decimal: ClassVar[str] = "."

    def begin(self) -> bytes:
        return BYTE_ORDER_MARK + super().begin()

    def _cells(self, column: Sequence[Any]) -> Sequence[Any]:
        types = {*map(type, column)}
        if types <= FRACTIONS:
            if self.decimal == ".":
                return super()._cells(column)
            lines = json_lines(column).decode().replace("null", "")
            return self._swap(lines.replace(".", self.decimal)).split("\n")[:-1]
        if types <= TEXT_TYPES and not any(map(FORMULA_START.match, filter(None, column))):
            return super()._cells(column)
        return super()._cells([*map(self._cell, column)])

    def _cell(self, value: Any) -> Any:
        kind = type(value)
        if kind is int or kind is bool or kind is NoneType:
            return value
        if isinstance(value, Enum):
            return self._cell(value.value)
        if hasattr(value, "as_py"):
            # A scalar of Arrow.
            return self._cell(value.as_py())
        is_scalar = hasattr(value, "dtype") and not getattr(value, "ndim", 1)
        code = getattr(value.dtype, "char", "") if is_scalar else ""
        text = cell_text(value)
        if isinstance(value, float | Decimal) or code in FLOAT_CODES:
            return text and text.replace(".", self.decimal)
        if code == "M" or (isinstance(value, datetime) and value.tzinfo is None):
            return text and text.replace("T", " ", 1)
        return f"'{text}" if text and FORMULA_START.match(text) else text


class DecimalCommaCsvEncoder(ExcelCsvEncoder):
    """CSV for Excel where the decimal is a comma, and what is between cells a semicolon."""

    delimiter = ";"
    decimal = ","
