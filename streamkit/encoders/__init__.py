"""From a batch of elements to bytes. Encoders do no I/O: bytes leave only by their return."""

from streamkit.encoders.base import Encoder
from streamkit.encoders.compressed import CompressedEncoder
from streamkit.encoders.csv import CsvEncoder
from streamkit.encoders.excel_csv import DecimalCommaCsvEncoder, ExcelCsvEncoder
from streamkit.encoders.json import JsonEncoder
from streamkit.encoders.ndjson import NdjsonEncoder
from streamkit.encoders.octets import OctetsEncoder
from streamkit.encoders.published import PublishedEncoder
from streamkit.encoders.sse import SSEEncoder
from streamkit.encoders.xlsx import XlsxEncoder

__all__ = [
    "CompressedEncoder",
    "CsvEncoder",
    "DecimalCommaCsvEncoder",
    "Encoder",
    "ExcelCsvEncoder",
    "JsonEncoder",
    "NdjsonEncoder",
    "OctetsEncoder",
    "PublishedEncoder",
    "SSEEncoder",
    "XlsxEncoder",
]
