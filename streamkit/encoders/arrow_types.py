"""Of which type of Arrow's a column is, and its values as an array of that."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final

import msgspec
import pyarrow as pa

from streamkit.rows.arrays import plain_array
from streamkit.rows.values import json_of

__all__ = ["array_of", "based", "type_of", "widened"]

MAX_PRECISION: Final = 38
"""Digits of a decimal of 128 bits, which are those that readers know."""

UTC_MOMENT: Final = pa.timestamp("us", "UTC")

_TYPES: Final[dict[type, Any]] = {
    NoneType: pa.null(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("us"),
    date: pa.date32(),
    time: pa.time64("us"),
    timedelta: pa.duration("us"),
    str: pa.string(),
    bytes: pa.binary(),
}

_BASES: Final[list[tuple[type, Callable[[Any], Any]]]] = [
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes.__bytes__),
]
"""Types that others are made of, and how to come back to them."""

_FLAT: Final = frozenset({*_TYPES, Decimal})
_KEPT: Final = _FLAT | {list}

_SIMPLE: Final = frozenset({*_TYPES} - {int, datetime, time})
"""Types whose values are all of one type of Arrow's."""

INT64: Final = range(-(2**63), 2**63)


def based(column: Sequence[Any]) -> Sequence[Any]:
    """A column whose values are of Python's own types, with text for what has none among Arrow's.

    Raises TypeError for a value that has no form, and UnicodeEncodeError for a lone surrogate.
    """
    kinds = {*map(type, column)}
    if not kinds <= _FLAT:
        column = [*map(_based, column)]
        kinds = {*map(type, column)}
    if str in kinds:
        "".join([value for value in column if type(value) is str]).encode()
    return column


def _based(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        return [*map(_based, value)]
    if kind in _KEPT:
        return value
    if isinstance(value, Enum):
        return _based(value.value)
    for base, back in _BASES:
        if isinstance(value, base):
            return back(value)
    if isinstance(value, date | timedelta):
        return _based_moment(value)
    if isinstance(value, Decimal):
        return Decimal(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if hasattr(value, "dtype"):
        made = plain_array(value)
        if type(made) is not kind:
            return _based(made)
    if hasattr(value, "as_py"):
        # A scalar of Arrow's.
        return _based(value.as_py())
    text = json_of(value).decode()
    return msgspec.json.decode(text) if text[0] not in "[{" else text


def _based_moment(value: Any) -> Any:
    if value != value:
        # NaT of pandas.
        return None
    if getattr(value, "nanosecond", False) or getattr(value, "nanoseconds", False):
        raise ValueError(f"a time with nanoseconds, {value}, is exported from a frame, not a row")
    if isinstance(value, timedelta):
        return timedelta(value.days, value.seconds, value.microseconds)
    if not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    return datetime.combine(datetime.date(value), value.timetz())


def type_of(column: Sequence[Any]) -> Any:
    """The type of a column of what ``based`` returns. Raises TypeError if it has several."""
    found = pa.null()
    kinds = {*map(type, column)}
    for kind in kinds - {NoneType}:
        alone = len(kinds) == 1 or kind in _SIMPLE
        values = column if alone else [value for value in column if type(value) is kind]
        found = widened(found, _type_of_kind(kind, values))
    return found


def _type_of_kind(kind: type, values: Sequence[Any]) -> Any:
    """The type of ``values`` that are of one kind."""
    if kind in _SIMPLE:
        return _TYPES[kind]
    if kind is int and not (min(values) in INT64 and max(values) in INT64):
        return _decimal_of([*map(Decimal, values)])
    if kind is Decimal:
        return _decimal_of(values)
    if kind is datetime:
        aware = sum(value.tzinfo is not None for value in values)
        if 0 < aware < len(values):
            raise TypeError("a column has one type, and this one has times with and without offset")
        return UTC_MOMENT if aware else _TYPES[datetime]
    if kind is time and any(value.tzinfo is not None for value in values):
        raise ValueError("a time of the day with an offset has no type there")
    if kind is list:
        return pa.list_(type_of([item for value in values for item in value]))
    return _TYPES[kind]


def _decimal_of(values: Sequence[Decimal]) -> Any:
    for value in values:
        if not value.is_finite():
            raise ValueError(f"a Decimal that is {value} has no type there")
    try:
        found = pa.array(values).type
    except pa.ArrowException:
        # More digits than any type has.
        found = None
    if found is None or found.precision > MAX_PRECISION:
        raise ValueError(
            f"a number of more than {MAX_PRECISION} digits has no type that readers know: "
            "yield its str()"
        )
    return found


def widened(known: Any, other: Any) -> Any:
    """The type of a column that has values of both. Raises TypeError if there is none."""
    if known == other or pa.types.is_null(other):
        return known
    if pa.types.is_null(known):
        return other
    types = pa.types
    if types.is_list(known) and types.is_list(other):
        return pa.list_(widened(known.value_type, other.value_type))
    if types.is_int64(known) and types.is_float64(other):
        return other
    if types.is_float64(known) and types.is_int64(other):
        return known
    if all(types.is_decimal(each) or types.is_int64(each) for each in (known, other)):
        first, second = (
            (each.precision, each.scale) if types.is_decimal(each) else (19, 0)
            for each in (known, other)
        )
        scale = max(first[1], second[1])
        whole = max(first[0] - first[1], second[0] - second[1])
        return pa.decimal128(min(whole + scale, MAX_PRECISION), scale)
    raise TypeError(f"a column has one type, and this one has {known} and {other}")


def array_of(column: Sequence[Any], known: Any) -> Any:
    """What ``based`` returned as an array of the ``known`` type.

    Raises ValueError for a value that it does not hold as it is.
    """
    try:
        return pa.array(column, type=known)
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(f"{known} does not hold a value as it is: {error}") from error
