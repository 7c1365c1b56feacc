"""Workbooks of Excel: Office Open XML (ECMA-376)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamkit.encoders import sheet
from streamkit.encoders.archive import MAX_PLAIN_BYTES, Archive
from streamkit.encoders.typed import TypedEncoder
from streamkit.rows.values import repaired_text

__all__ = ["XlsxEncoder"]

MAX_ROWS: Final = 1_048_576
MAX_COLUMNS: Final = 16_384
"""What a sheet of Excel holds ("Excel specifications and limits" in its documentation)."""

MAX_BYTES: Final = MAX_PLAIN_BYTES
"""Of the XML of a sheet."""

FIRST_ROWS: Final = 100
"""As many rows as a screen has are looked at to make the columns wide enough."""

WIDTHS: Final = (9, 60)
"""Characters between which the width of a column is: Excel's own, and half a screen."""

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"

# What has no other type is a sheet, however many of them there will be.
_CONTENT_TYPES: Final = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships'
    f'+xml"/><Default Extension="xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>'
)


_SELECTED: Final = ' tabSelected="1"'


def _relations(targets: Mapping[str, str]) -> str:
    """What a part refers to: targets, each with its type."""
    return (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
            for number, (target, kind) in enumerate(targets.items(), 1)
        )
        + "</Relationships>"
    )


class XlsxEncoder(TypedEncoder):
    """A workbook, with a header that is frozen and can be filtered by.

    Numbers, times and booleans are what they are to a spreadsheet, up to what it can hold: an
    integer or ``Decimal`` of more than 15 digits, a time before March 1900 and one of the day with
    an offset are text. A time with a date and an offset is shown in UTC, with a ``Z``. Text is
    never a formula. What has no form of its own in a sheet is text, as in csv.

    The columns are those that the source knows, else those of the first row; a plain sequence has
    no names, and as the first row it is the header. After a million rows there is a further sheet.

    Raises ValueError for a row with more columns than the header, for more than 16,384 of them, and
    for a text of more than 32,767 characters.
    """

    def __init__(
        self, columns: Sequence[str] | None = None, chosen: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(columns, chosen)
        self._archive = Archive()
        self._sheets = 0
        self._rows = 0
        self._bytes = 0
        self._header = ""
        self._letters = ""
        self._widths: list[int] = []
        self._held: list[bytes] | None = []
        """The first rows, of which there are too few to tell the width of columns."""

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        if not self._header and not self._learn(batch[0]):
            self._number += 1
            batch = batch[1:]
            yield self._archive.take()
        if batch:
            yield from super().encode(batch)

    def end(self) -> bytes:
        if not self._header:
            self._title(self._columns.titles or ())
        if self._held is not None:
            self._release()
        self._end_sheet()
        sheets = [*range(1, self._sheets + 1)]
        self._archive.add(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
            + "".join(f'<sheet name="Sheet{n}" sheetId="{n}" r:id="rId{n}"/>' for n in sheets)
            + "</sheets></workbook>",
        )
        parts = {f"worksheets/sheet{number}.xml": "worksheet" for number in sheets}
        relations = _relations({**parts, "styles.xml": "styles"})
        self._archive.add("xl/_rels/workbook.xml.rels", relations)
        self._archive.close()
        return self._archive.take()

    def _learn(self, row: Any) -> bool:
        """Begin with the header. Whether the first row is another one."""
        has_names = True
        try:
            if self._columns.names is None:
                has_names = self._columns.learn(row)
            self._title(self._columns.titles or ())
        except Exception as error:
            self._locate(error, row)
            raise
        return has_names

    def _title(self, titles: Sequence[Any]) -> None:
        if len(titles) > MAX_COLUMNS:
            raise ValueError(
                f"a sheet of xlsx holds {MAX_COLUMNS:,} columns, and these are {len(titles):,}"
            )
        texts = ["" if title is None else repaired_text(str(title)) for title in titles]
        cells = [sheet.text_cell(text, sheet.HEADER_STYLE) for text in texts]
        self._header = f"<row>{''.join(cells)}</row>"
        self._letters = _letters(max(len(texts), 1))
        # A filter has a button in the corner of each title.
        self._widths = [sheet.width([text]) + 2 for text in texts]
        self._archive.add("[Content_Types].xml", _CONTENT_TYPES)
        self._archive.add("_rels/.rels", _relations({"xl/workbook.xml": "officeDocument"}))
        self._archive.add("xl/styles.xml", sheet.STYLES)

    def _check(self, value: Any) -> None:
        list(sheet.cells([value]))

    def _write(self, values: Sequence[Any]) -> bytes:
        """The rows of ``values``, which are columns, as far as they have left the compressor."""
        cells = map("".join, zip(*map(sheet.cells, values), strict=True))
        rows = [*cells]
        piece = f"<row>{'</row><row>'.join(rows)}</row>".encode()
        if self._held is not None:
            widths = map(sheet.width, values)
            self._widths = [*map(max, self._widths, widths)]
            self._held.append(piece)
            self._rows += len(rows)
            if self._rows >= FIRST_ROWS:
                self._release()
        else:
            self._add(piece, len(rows))
        return self._archive.take()

    def _release(self) -> None:
        """Begin the first sheet with the rows that were held back for the width of columns."""
        held, self._held = self._held or [], None
        count, self._rows = self._rows, 0
        self._begin_sheet()
        self._add(b"".join(held), count)

    def _add(self, piece: bytes, count: int) -> None:
        if self._rows + count > MAX_ROWS or self._bytes + len(piece) > MAX_BYTES:
            self._end_sheet()
            self._begin_sheet()
        self._rows += count
        self._bytes += len(piece)
        self._archive.write(piece)

    def _begin_sheet(self) -> None:
        self._sheets += 1
        least, most = WIDTHS
        columns = "".join(
            f'<col min="{place}" max="{place}" width="{min(max(width + 2, least), most)}"'
            ' customWidth="1"/>'
            for place, width in enumerate(self._widths, 1)
        )
        begin = (
            f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"'
            f"{_SELECTED if self._sheets == 1 else ''}>"
            '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
            f"</sheetView></sheetViews>{f'<cols>{columns}</cols>' if columns else ''}<sheetData>"
            f"{self._header}"
        ).encode()
        self._archive.begin(f"xl/worksheets/sheet{self._sheets}.xml")
        self._archive.write(begin)
        self._rows = 1
        self._bytes = len(begin)

    def _end_sheet(self) -> None:
        filtered = f"A1:{self._letters}{self._rows}"
        self._archive.write(f'</sheetData><autoFilter ref="{filtered}"/></worksheet>'.encode())


def _letters(number: int) -> str:
    """What a sheet calls its column of this number, of which the first is 1."""
    letters = ""
    while number:
        number, place = divmod(number - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters
