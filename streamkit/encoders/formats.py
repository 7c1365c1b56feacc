"""The formats of an export, by name."""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, get_args

from streamkit.encoders.csv import CsvEncoder
from streamkit.encoders.excel_csv import DecimalCommaCsvEncoder, ExcelCsvEncoder
from streamkit.encoders.json import JsonEncoder
from streamkit.encoders.ndjson import NdjsonEncoder
from streamkit.encoders.row import RowEncoder

__all__ = ["ExportFormat", "Format", "format_of"]

ExportFormat = Literal["json", "csv", "ndjson", "csv-excel", "csv-excel-decimal-comma"]


class Format(NamedTuple):
    """What a format is called elsewhere, and what writes it."""

    content_type: str
    extension: str
    encoder: Callable[..., RowEncoder]


CSV: Final = "text/csv; charset=utf-8"

_FORMATS: Final[dict[str, Format]] = {
    "json": Format("application/json", ".json", JsonEncoder),
    "csv": Format(CSV, ".csv", CsvEncoder),
    "csv-excel": Format(CSV, ".csv", ExcelCsvEncoder),
    "csv-excel-decimal-comma": Format(CSV, ".csv", DecimalCommaCsvEncoder),
    "ndjson": Format("application/x-ndjson", ".ndjson", NdjsonEncoder),
}


def format_of(name: Any) -> Format:
    """The format that is called ``name``. Raises ValueError if there is none."""
    if not isinstance(name, str) or name not in _FORMATS:
        expected = ", ".join(map(repr, get_args(ExportFormat)))
        raise ValueError(f"format must be one of {expected}, got {name!r}")
    return _FORMATS[name]
