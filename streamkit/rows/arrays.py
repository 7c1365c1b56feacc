"""Scalars and arrays of numpy and of what is made like it, and columns of frames, as values."""

import re
from typing import Any, Final

from streamkit.rows.durations import duration

__all__ = ["plain_array"]

_UNIT: Final = re.compile(r"\[(\d*)([a-zA-Z]+)\]\Z")
"""The unit of numpy's times, and how many of it they count, as in ``<M8[25s]``."""

SPANS: Final = {
    # unit: its seconds, the digits of its fraction of one
    "W": (604_800, 0),
    "D": (86_400, 0),
    "h": (3_600, 0),
    "m": (60, 0),
    "s": (1, 0),
    "ms": (1, 3),
    "us": (1, 6),
    "ns": (1, 9),
    "ps": (1, 12),
    "fs": (1, 15),
    "as": (1, 18),
}

MAX_SPAN: Final = 86_400 * 1_000_000_000
"""Seconds that a ``timedelta`` is shorter than."""

WHOLE_UNITS: Final = {"Y": "D", "M": "D", "W": "D", "h": "s", "m": "s"}
"""Units, and those whose text says as much in full: the day of a month, the second of an hour."""


def plain_array(value: Any) -> Any:
    """``value``, which has a ``dtype``, as Python's own values: one, or a list of them.

    ``value`` itself if it has no form.
    """
    code = getattr(value.dtype, "char", "")
    if getattr(value, "ndim", 1):
        if code and code in "MmgV":
            # tolist() makes bare ints of times that datetime has no place for.
            return list(value)
        for method in ("tolist", "to_list"):
            if hasattr(value, method):
                return getattr(value, method)()
        return value
    if code and code in "SU":
        # A scalar of these is bytes or a str, and indexed as such.
        return value.tolist()
    value = value[()]
    match code:
        case "M":
            return _moment(value)
        case "m":
            return _span(value)
        case "g":
            # It may have digits that no float has: these are kept, as those of a Decimal are.
            return float(value) if float(value) == value or value != value else str(value)
        case "V" if value.dtype.names:
            return {name: value[name] for name in value.dtype.names}
    return value.tolist()


def _moment(value: Any) -> Any:
    moment = value.tolist()
    if not isinstance(moment, int):
        return moment
    _, unit = _unit(value)
    if unit in WHOLE_UNITS:
        return _with_year(str(value.astype(f"M8[{WHOLE_UNITS[unit]}]")))
    rounded = value.astype("M8[us]")
    if SPANS[unit][1] > 6 and rounded == value and not isinstance(rounded.tolist(), int):
        return rounded.tolist()
    text, _, fraction = str(value).partition(".")
    while fraction.endswith("000"):
        fraction = fraction[:-3]
    return _with_year(f"{text}.{fraction}" if fraction else text)


def _with_year(text: str) -> str:
    """``text`` with four digits in its year at the least: numpy takes the sign for one of them."""
    return f"-{text[1:].zfill(len(text))}" if text.startswith("-") else text


def _span(value: Any) -> Any:
    span = value.tolist()
    if span is None:
        return None
    count, unit = _unit(value)
    if unit in SPANS:
        seconds, digits = SPANS[unit]
        ticks = int(value.astype("i8")) * count * seconds
        # Before numpy 2.2 a timedelta may be made of what has no place in one.
        fits = not isinstance(span, int) and abs(ticks) < MAX_SPAN * 10**digits
        return span if fits else duration(ticks, digits)
    if unit:
        return f"{'-' if span < 0 else ''}P{abs(span) * count}{unit}"
    return span


def _unit(value: Any) -> tuple[int, str]:
    found = _UNIT.search(value.dtype.str)
    return (int(found[1] or 1), found[2]) if found else (1, "")
