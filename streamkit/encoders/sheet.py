"""The cells of a sheet of xlsx: ECMA-376, part 1, chapter 18."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final

import msgspec

from streamkit.rows.arrays import plain_array
from streamkit.rows.values import json_of

__all__ = ["HEADER_STYLE", "STYLES", "cells", "text_cell", "width"]

MAX_TEXT: Final = 32_767
"""UTF-16 code units of a text: more than this Excel does not hold in a cell."""

MAX_DIGITS: Final = 15
"""Digits of a number that Excel keeps: of one that has more, the others become zeros."""

MAX_INT: Final = 10**MAX_DIGITS

EPOCH: Final = datetime(1899, 12, 30)
"""Day 0. Excel has a 29 February 1900, which there was not: days before it are other ones."""

FIRST_DAY: Final = datetime(1900, 3, 1)

EXACT_DAYS: Final = 2**16
"""Until then, in June 2079, a double that counts days tells one microsecond from the next."""

MICROSECOND: Final = timedelta(microseconds=1)
MICROSECONDS_A_DAY: Final = 86_400_000_000

NOTHING: Final = "<c/>"

# A format is used by its place in cellXfs, and 0 is the one without any. A quoted letter is itself.
_DAY = r"yyyy\-mm\-dd"
_FORMATS: Final = [
    _DAY,
    *(f"{_DAY} hh:mm:ss{fraction}{zone}" for zone in ("", '"Z"') for fraction in ("", ".000")),
    *("hh:mm:ss", "hh:mm:ss.000", "[h]:mm:ss", "[h]:mm:ss.000"),
    *(f"0.{'0' * places}" for places in range(1, MAX_DIGITS + 1)),
]
DAY, MOMENT, UTC_MOMENT, CLOCK, SPAN, PLACES = 1, 2, 4, 6, 8, 9
HEADER_STYLE: Final = len(_FORMATS) + 1

# Formats of one's own begin at 164.
STYLES: Final = (
    '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    f'<numFmts count="{len(_FORMATS)}">'
    + "".join(
        f'<numFmt numFmtId="{164 + index}" formatCode="{code.replace(chr(34), "&quot;")}"/>'
        for index, code in enumerate(_FORMATS)
    )
    + '</numFmts><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    f'<cellXfs count="{len(_FORMATS) + 2}">'
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    + "".join(
        f'<xf numFmtId="{164 + index}" fontId="0" fillId="0" borderId="0" xfId="0"'
        ' applyNumberFormat="1"/>'
        for index in range(len(_FORMATS))
    )
    + '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)

# XML 1.0, section 2.2, says what it cannot carry, and 2.11 that CR becomes LF. These are escaped
# as ST_Xstring has it (22.9.2.19), and so is text that looks like such an escape.
_UNFIT: Final = re.compile(
    r"[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}[_\x00-\x08\x0b-\x1f\ufffe\uffff])"
)
_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _escape(match: re.Match[str]) -> str:
    found = match[0]
    if found in _MARKUP:
        return _MARKUP[found]
    return f"_x{ord(found):04X}_"


def text_cell(text: str, style: int = 0) -> str:
    """A cell with ``text``, which is never a formula. Raises ValueError if it is too long.

    Raises UnicodeEncodeError for a lone surrogate.
    """
    if len(text) > MAX_TEXT // 2 and len(text.encode("utf-16-le")) > 2 * MAX_TEXT:
        raise ValueError(
            f"a text of {len(text):,} characters does not fit in a cell of xlsx, which holds "
            f"{MAX_TEXT:,}"
        )
    space = ' xml:space="preserve"' if text.strip() != text or "\n" in text else ""
    if _UNFIT.search(text):
        text.encode()
        text = _UNFIT.sub(_escape, text)
    styled = f' s="{style}"' if style else ""
    return f'<c t="inlineStr"{styled}><is><t{space}>{text}</t></is></c>'


def _number_cell(number: Any, style: int = 0) -> str:
    return f'<c s="{style}"><v>{number}</v></c>' if style else f"<c><v>{number}</v></c>"


def _int(value: int) -> str:
    exact = -MAX_INT < value < MAX_INT
    return f"<c><v>{value}</v></c>" if exact else text_cell(str(value))


def _bool(value: bool) -> str:
    return '<c t="b"><v>1</v></c>' if value else '<c t="b"><v>0</v></c>'


def _float(value: float) -> str:
    # A NaN is none, and an infinite number neither: both are null.
    return f"<c><v>{value!r}</v></c>" if value - value == 0 else NOTHING


def _decimal(value: Decimal) -> str:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) > MAX_DIGITS or not -290 < exponent < 290:
        return text_cell(str(value))
    places = -exponent
    return _number_cell(value, PLACES + places if 0 < places <= MAX_DIGITS else 0)


def _datetime(value: datetime) -> str:
    style = MOMENT
    moment = value
    if value.tzinfo is not None:
        style = UTC_MOMENT
        try:
            moment = value.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            return _text_of(value)
    if moment < FIRST_DAY or getattr(value, "nanosecond", False):
        return _text_of(value)
    span = moment - EPOCH
    is_exact = span.days < EXACT_DAYS or not span.microseconds
    return _days(span, style) if is_exact else _text_of(value)


def _date(value: date) -> str:
    days = value.toordinal() - EPOCH.toordinal()
    return _number_cell(days, DAY) if days > 60 else _text_of(value)


def _time(value: time) -> str:
    if value.tzinfo is not None:
        return _text_of(value)
    span = timedelta(
        hours=value.hour,
        minutes=value.minute,
        seconds=value.second,
        microseconds=value.microsecond,
    )
    return _days(span, CLOCK)


def _timedelta(value: timedelta) -> str:
    # Excel shows no negative ones.
    if value.days < 0 or getattr(value, "nanoseconds", False):
        return _text_of(value)
    is_exact = value.days < EXACT_DAYS or not value.microseconds
    return _days(value, SPAN) if is_exact else _text_of(value)


def _days(span: timedelta, style: int) -> str:
    microseconds = span // MICROSECOND
    # The style after each of these shows thousandths of a second.
    style += span.microseconds != 0
    return _number_cell(microseconds / MICROSECONDS_A_DAY, style)


def _text_of(value: Any) -> str:
    """A cell with what ``value`` is in JSON: with the text of a text, or of a container."""
    text = json_of(value).decode()
    match text[0]:
        case '"':
            return text_cell(msgspec.json.decode(text, type=str))
        case "n":
            return NOTHING
        case "t" | "f":
            return _bool(text == "true")
        case "[" | "{":
            return text_cell(text)
    return _decimal(Decimal(text))


def _cell(value: Any) -> str:
    """The cell of a value of any type."""
    known = _BY_TYPE.get(type(value))
    if known is not None:
        return known(value)
    if isinstance(value, Enum):
        return _cell(value.value)
    if isinstance(value, date | timedelta | float) and value != value:
        # NaT of pandas is a datetime.
        return NOTHING
    for kind, cell in _BASES:
        if isinstance(value, kind):
            return cell(value)
    if hasattr(value, "dtype") and not getattr(value, "ndim", 1):
        made = plain_array(value)
        return _text_of(value) if type(made) is type(value) else _cell(made)
    scalar_of_arrow = getattr(value, "as_py", None)
    if scalar_of_arrow is not None:
        return _cell(scalar_of_arrow())
    return _text_of(value)


_BY_TYPE: Final[dict[type, Callable[[Any], str]]] = {
    NoneType: lambda value: NOTHING,
    bool: _bool,
    int: _int,
    float: _float,
    Decimal: _decimal,
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _timedelta,
    str: text_cell,
}

# A datetime is a date as well, and comes before it.
_BASES: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (str, lambda value: text_cell(str.__str__(value))),
    (int, lambda value: _int(int.__int__(value))),
    (float, lambda value: _float(float.__float__(value))),
    (Decimal, _decimal),
    (datetime, _datetime),
    (date, _date),
    (time, _time),
    (timedelta, _timedelta),
)

_TEXTS: Final = frozenset({str, NoneType})


def cells(column: Sequence[Any]) -> Iterable[str]:
    """The cells of a column. Raises what its first bad value does."""
    types = {*map(type, column)}
    if len(types) == 1:
        kind = types.pop()
        if kind is str:
            return _text_cells(column)
        return map(_BY_TYPE.get(kind, _cell), column)
    if types == _TEXTS:
        plain = iter(_text_cells([text for text in column if text is not None]))
        return [NOTHING if text is None else next(plain) for text in column]
    return map(_cell, column)


def _text_cells(column: Sequence[str]) -> Iterable[str]:
    joined = "\n".join(column)
    # Most columns have nothing in them that is to be escaped, and that is found out at once.
    if (
        _UNFIT.search(joined)
        or max(map(len, column)) > MAX_TEXT // 2
        or joined.count("\n") >= len(column)
        or [*map(str.strip, column)] != [*column]
    ):
        return map(text_cell, column)
    return [f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in column]


def width(values: Iterable[Any]) -> int:
    """Characters of the longest line that a column of ``values`` shows, or so."""
    return max(map(_length, values), default=0)


def _length(value: Any) -> int:
    kind = type(value)
    if kind is str:
        return max(map(len, value.splitlines()), default=0)
    if kind is NoneType or kind is bool:
        return 5
    if isinstance(value, datetime):
        return 24
    return len(str(value)) if isinstance(value, int | float | Decimal | date | time) else 30
