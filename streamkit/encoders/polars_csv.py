"""Frames of polars as lines of csv, by polars itself: no value of theirs is made in Python.

Where polars would spell a value in another way than the other formats do, its column is made text
before.
"""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from streamkit.rows.slices import values_of_polars

__all__ = ["polars_csv"]

NUMBERS: Final = frozenset(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))

PLAIN_FLOATS: Final = (1e-3, 1e15)
"""Between these floats are written without an exponent by every version of polars, and by us."""

SPECIAL: Final = (",", '"', "\r", "\n")
UNICODE_SEPARATORS: Final = ("\x1c", "\x1d", "\x1e", "\x1f")
"""White space for ``str.strip``, though not for Rust."""

QUOTED: Final = r'[,"\r\n]|^[\s\x1c-\x1f]|[\s\x1c-\x1f]$|^$'
"""What is in a text that needs quotes, as in ``CsvEncoder``."""

YEARS: Final = (-62_135_596_800, 253_402_300_799)
"""Seconds from 1970 to the first and the last of the years that a ``date`` has, of four digits."""

TICKS: Final = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

Text = Callable[[Sequence[Any]], Sequence[str]]
"""The texts of the cells of a column."""


def polars_csv(frame: Any, text: Text) -> bytes:
    """The rows of ``frame``, which has several columns, without a header.

    A column of a type that polars does not write as we do is given to ``text``. Raises what that
    raises, and what polars does.
    """
    polars = sys.modules["polars"]
    columns = [_column_of(polars, name, kind) for name, kind in frame.schema.items()]
    # Each call of polars costs as much as it takes to write hundreds of values: there is one for
    # all that is to be known of the columns, and one for all of them.
    asked = [each.alias(str(number)) for number, each in enumerate(_questions(columns))]
    answers = iter(frame.select(asked).row(0) if asked else ())
    cells = [
        column.cells(frame, [next(answers) for _ in column.questions], text).alias(str(number))
        for number, column in enumerate(columns)
    ]
    written = io.BytesIO()
    frame.select(cells).write_csv(
        written,
        include_header=False,
        line_terminator="\r\n",
        quote_style="never",
        # One thread writes it as fast as several, which would have to be woken.
        batch_size=frame.height,
    )
    return written.getvalue()


def _questions(columns: "Sequence[_Column]") -> Iterator[Any]:
    for column in columns:
        yield from column.questions


def _column_of(polars: Any, name: str, kind: Any) -> "_Column":
    cell = polars.col(name)
    match str(kind.base_type()):
        case base if base in NUMBERS or base == "Boolean":
            return _Column(polars, cell)
        case "Float64" | "Float32":
            return _Floats(polars, cell.cast(polars.Float64))
        case "String" | "Categorical" | "Enum":
            return _Texts(polars, cell.cast(polars.String))
        case "Datetime" if kind.time_zone in (None, "UTC"):
            return _Moments(polars, cell, kind)
        case "Date":
            return _Days(polars, cell)
    return _Others(polars, cell)


class _Column:
    """A column that polars writes as we do; ``cell`` is the expression for its values."""

    def __init__(self, polars: Any, cell: Any) -> None:
        self.polars = polars
        self.cell = cell

    @property
    def questions(self) -> list[Any]:
        """What ``cells`` is to be told of it."""
        return []

    def cells(self, frame: Any, answers: list[Any], text: Text) -> Any:
        """Such a column, as an expression or whole."""
        return self.cell


class _Others(_Column):
    def cells(self, frame: Any, answers: list[Any], text: Text) -> Any:
        values = values_of_polars(frame.select(self.cell).to_series())
        return self.polars.Series(text(values), dtype=self.polars.String)


class _Floats(_Column):
    @property
    def questions(self) -> list[Any]:
        return [self._odd.any()]

    @property
    def _odd(self) -> Any:
        size = self.cell.abs()
        smallest, largest = PLAIN_FLOATS
        return ~(((size >= smallest) & (size < largest)) | (size == 0)) | size.is_nan()

    def cells(self, frame: Any, answers: list[Any], text: Text) -> Any:
        if not answers[0]:
            return self.cell
        odd = frame.select(self._odd.fill_null(value=False)).to_series().arg_true()
        column = frame.select(self.cell).to_series()
        texts = self.polars.Series(text(column.gather(odd).to_list()), dtype=self.polars.String)
        return column.cast(self.polars.String).scatter(odd, texts)


class _Texts(_Column):
    @property
    def questions(self) -> list[Any]:
        texts = self.cell.str
        return [
            texts.contains_any([*SPECIAL, *UNICODE_SEPARATORS]).any()
            | (texts.strip_chars() != self.cell).any()
            | (texts.len_bytes() == 0).any()
        ]

    def cells(self, frame: Any, answers: list[Any], text: Text) -> Any:
        if not answers[0]:
            return self.cell
        mark = self.polars.lit('"')
        doubled = self.cell.str.replace_all('"', '""', literal=True)
        quoted = self.polars.concat_str([mark, doubled, mark])
        is_quoted = self.cell.str.contains(QUOTED)
        return self.polars.when(is_quoted).then(quoted).otherwise(self.cell)


class _Moments(_Column):
    def __init__(self, polars: Any, cell: Any, kind: Any) -> None:
        super().__init__(polars, cell)
        self._zone = "Z" if kind.time_zone else ""
        self._ticks = TICKS[kind.time_unit]

    @property
    def questions(self) -> list[Any]:
        ticks = self.cell.to_physical()
        first, last = YEARS
        seconds = ticks // self._ticks
        is_nano = self._ticks == TICKS["ns"]
        return [
            (~seconds.is_between(first, last)).any(),
            (ticks % self._ticks != 0).any(),
            (ticks % 1000 != 0).any() if is_nano else self.polars.lit(value=False),
        ]

    def cells(self, frame: Any, answers: list[Any], text: Text) -> Any:
        is_far, has_fraction, has_nanoseconds = answers
        if is_far:
            return _Others(self.polars, self.cell).cells(frame, [], text)
        when, ticks = self.polars.when, self.cell.to_physical()
        made = self._text("")
        if has_fraction:
            made = when(ticks % self._ticks == 0).then(made).otherwise(self._text(".%6f"))
        if has_nanoseconds:
            made = when(ticks % 1000 == 0).then(made).otherwise(self._text(".%9f"))
        return made

    def _text(self, fraction: str) -> Any:
        naive = self.cell.dt.replace_time_zone(None)
        return naive.dt.to_string(f"%Y-%m-%dT%H:%M:%S{fraction}{self._zone}")


class _Days(_Column):
    @property
    def questions(self) -> list[Any]:
        return [(~self.cell.dt.year().is_between(1, 9999)).any()]

    def cells(self, frame: Any, answers: list[Any], text: Text) -> Any:
        if answers[0]:
            return _Others(self.polars, self.cell).cells(frame, [], text)
        return self.cell.dt.to_string("%Y-%m-%d")
