"""What is in a workbook, read by the standard library alone: what the files say, and no more."""

import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class Sheet:
    """Its ``rows``, header and all, as Python's values; a moment and a span are told by format."""

    def __init__(self, root: ElementTree.Element, codes: list[str]) -> None:
        self.root = root
        self._codes = codes
        self.rows = [[*self._cells(row)] for row in root.iter(f"{MAIN}row")]
        self.codes = [
            [codes[int(cell.get("s", "0"))] for cell in row] for row in root.iter(f"{MAIN}row")
        ]

    def get(self, path: str, name: str) -> str | None:
        found = self.root.find("/".join(f"{MAIN}{part}" for part in path.split("/")))
        return None if found is None else found.get(name)

    def _cells(self, row: ElementTree.Element) -> Iterator[Any]:
        for cell in row:
            kind, code = cell.get("t", "n"), self._codes[int(cell.get("s", "0"))]
            value = cell.findtext(f"{MAIN}v")
            assert cell.find(f"{MAIN}f") is None
            if kind == "inlineStr":
                text = "".join(cell.itertext())
                yield re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), text)
            elif value is None:
                yield None
            elif kind == "b":
                yield value == "1"
            elif "h" in code or "y" in code:
                # To the second where no more is shown: a number of days is not exact in far years.
                digits = 6 if "." in code else 0
                seconds = round(Fraction(float(value)) * 86_400, digits)
                span = timedelta(microseconds=int(seconds * 1_000_000))
                yield datetime(1899, 12, 30) + span if "y" in code else span
            else:
                yield float(value) if re.search("[.Ee]", value) else int(value)


def read_workbook(body: bytes) -> list[Sheet]:
    """The sheets in their order."""
    with ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "[Content_Types].xml"
        styles = ElementTree.fromstring(archive.read("xl/styles.xml"))
        codes = {each.get("numFmtId"): each.get("formatCode") for each in styles[0]}
        used = [codes.get(each.get("numFmtId")) or "" for each in styles.iter(f"{MAIN}xf")][1:]
        relations = {
            each.get("Id"): each.get("Target")
            for each in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
        }
        workbook = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        parts = [relations[each.get(RELATION)] for each in workbook.iter(f"{MAIN}sheet")]
        return [Sheet(ElementTree.fromstring(archive.read(f"xl/{part}")), used) for part in parts]
