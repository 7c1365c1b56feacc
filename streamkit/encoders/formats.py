"""The formats of an export, by name."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, Literal, NamedTuple, get_args

from streamkit.encoders.csv import CsvEncoder
from streamkit.encoders.excel_csv import DecimalCommaCsvEncoder, ExcelCsvEncoder
from streamkit.encoders.json import JsonEncoder
from streamkit.encoders.ndjson import NdjsonEncoder
from streamkit.encoders.row import RowEncoder
from streamkit.encoders.xlsx import XlsxEncoder
from streamkit.rows.frames import read_frames
from streamkit.rows.records import read_records

__all__ = ["ExportFormat", "Format", "format_of"]

ExportFormat = Literal[
    "json", "csv", "ndjson", "csv-excel", "csv-excel-decimal-comma", "xlsx", "parquet", "arrow"
]

Serialize = Callable[[Any], str | bytes]


class Format(NamedTuple):
    """What a format is called elsewhere, and what writes it."""

    content_type: str
    extension: str
    encoder: Callable[..., RowEncoder]
    is_text: bool = True
    """Whether a row may be given as text, and the whole is to be compressed."""
    is_read_live: bool = False
    """Whether its readers take rows as they come, so that no proxy should collect them."""
    is_columnar: bool = False
    """Whether it is a format of Arrow's."""
    read: Callable[[Any], tuple[Any, Sequence[str]] | None] = lambda source: None
    """What it takes in the place of rows, and the names of its columns, if a source has that."""

    def encode(
        self,
        serialize: Serialize | None,
        names: Sequence[str] | None,
        chosen: Mapping[str, str] | None,
    ) -> RowEncoder:
        """An encoder of one export; its arguments are those of ``RowEncoder``."""
        if self.is_text:
            return self.encoder(serialize, names, chosen)
        return self.encoder(names, chosen)


# pyarrow need not be there, and takes a while to import.


def _parquet(names: Sequence[str] | None, chosen: Mapping[str, str] | None) -> RowEncoder:
    from streamkit.encoders.columnar import ParquetEncoder

    return ParquetEncoder(names, chosen)


def _arrow(names: Sequence[str] | None, chosen: Mapping[str, str] | None) -> RowEncoder:
    from streamkit.encoders.columnar import ArrowEncoder

    return ArrowEncoder(names, chosen)


CSV: Final = "text/csv; charset=utf-8"
SPREADSHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_FORMATS: Final[dict[str, Format]] = {
    "json": Format("application/json", ".json", JsonEncoder, read=read_frames),
    "csv": Format(CSV, ".csv", CsvEncoder, read=read_frames),
    "csv-excel": Format(CSV, ".csv", ExcelCsvEncoder),
    "csv-excel-decimal-comma": Format(CSV, ".csv", DecimalCommaCsvEncoder),
    "ndjson": Format(
        "application/x-ndjson", ".ndjson", NdjsonEncoder, is_read_live=True, read=read_frames
    ),
    "xlsx": Format(SPREADSHEET, ".xlsx", XlsxEncoder, is_text=False),
    "parquet": Format(
        "application/vnd.apache.parquet",
        ".parquet",
        _parquet,
        is_text=False,
        is_columnar=True,
        read=read_records,
    ),
    "arrow": Format(
        "application/vnd.apache.arrow.stream",
        ".arrows",
        _arrow,
        is_text=False,
        is_columnar=True,
        read=read_records,
    ),
}


def format_of(name: Any, serialize: Serialize | None = None) -> Format:
    """The format that is called ``name``.

    Raises ValueError if there is none, or one that does not take the text of a ``serialize``, and
    ImportError if the library that it needs is not installed.
    """
    if not isinstance(name, str) or name not in _FORMATS:
        expected = ", ".join(map(repr, get_args(ExportFormat)))
        raise ValueError(f"format must be one of {expected}, got {name!r}")
    found = _FORMATS[name]
    if serialize is not None and not found.is_text:
        raise ValueError(
            f"serialize gives the text of a row, and {name} has no rows of text: let the source "
            "yield the rows that are to be exported"
        )
    if found.is_columnar and find_spec("pyarrow") is None:
        raise ImportError(f"the format {name!r} needs pyarrow: pip install 'streamkit-http[arrow]'")
    return found
