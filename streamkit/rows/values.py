"""What a value is in JSON, the same in every format.

msgspec knows most types; the ones that it leaves to its ``enc_hook`` are in ``plain``.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta, timezone
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Any, Final

import msgspec

from streamkit.rows.plain import plain

__all__ = ["exact", "json_arrays", "json_lines", "json_of", "repaired", "repaired_text"]

_encoder: Final = msgspec.json.Encoder(enc_hook=plain)

OFFSET: Final = re.compile(rb'\+..:.."')
OFFSET_WEST: Final = re.compile(rb'-..:.."')
"""How the text of a time ends that is not in UTC. To look for the sign first costs next to nothing,
as most JSON has no plus, and to ask for digits as well would take twice the time."""

LINE_ENDS: Final = (
    (b"\xc2", b"\xc2\x85", b"\\u0085"),
    (b"\xe2", b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2", b"\xe2\x80\xa9", b"\\u2029"),
)
"""What many readers of lines take for the end of one (``str.splitlines``), and JSON does not: the
first byte of each, which few letters of any script begin with, all of it, and its escape."""

FIXED: Final = frozenset({NoneType, timezone})
"""Types of zones whose offset is one and the same at any time."""

ATOMS: Final = frozenset({NoneType, bool, int, float, str, bytes})
"""Types of values that have neither a time in them nor anything else."""


def json_of(value: Any) -> bytes:
    """``value`` as JSON, in which no reader finds the end of a line.

    Raises UnicodeEncodeError for a lone surrogate in a text.
    """
    text = _encoder.encode(value)
    if _has_offset(text) and _has_rounded((value,)):
        text = _encoder.encode(exact(value))
    return text if text.isascii() else _without_line_ends(text)


def json_lines(values: Sequence[Any]) -> bytes:
    """Each of ``values`` as JSON on a line of its own. Raises what ``json_of`` raises."""
    text = json_arrays(values)
    return text if text.isascii() else _without_line_ends(text)


def json_arrays(rows: Sequence[Any]) -> bytes:
    """As ``json_lines``, for what is no JSON in the end: U+0085, U+2028 and U+2029 stay there."""
    text = _encoder.encode_lines(rows)
    if _has_offset(text) and _has_rounded(rows):
        text = _encoder.encode_lines([*map(exact, rows)])
    return text


def _has_offset(text: bytes) -> bool:
    return bool(
        (b"+" in text and OFFSET.search(text)) or (b"-" in text and OFFSET_WEST.search(text))
    )


def _without_line_ends(text: bytes) -> bytes:
    for first, character, escape in LINE_ENDS:
        # To look for one byte takes a tenth of the time that two or three take.
        if first in text and character in text:
            text = text.replace(character, escape)
    return text


def _has_rounded(values: Iterable[Any]) -> bool:
    """Whether there is a time in ``values`` whose offset msgspec rounds, and so means another one.

    Offsets have seconds in what zones were before they were agreed upon, a century ago. One level
    of nesting is looked at after the other, and each at once.
    """
    while True:
        rest: list[Any] = [value for value in values if type(value) not in ATOMS]
        kinds = {*map(type, rest)}
        if not kinds:
            return False
        inner: list[Any] = []
        for kind in kinds:
            same: list[Any] = (
                rest if len(kinds) == 1 else [value for value in rest if type(value) is kind]
            )
            if kind is datetime or kind is time:
                if any(map(_has_seconds, _offsets(kind, same))):
                    return True
            elif kind is dict:
                inner += chain.from_iterable(map(dict.values, same))
                inner += {*chain.from_iterable(same)}
            elif kind is list or kind is tuple:
                inner += chain.from_iterable(same)
            else:
                simple = map(_simple, same)
                inner += [
                    each for each, value in zip(simple, same, strict=True) if each is not value
                ]
        values = inner


def _offsets(kind: Any, times: Sequence[Any]) -> Iterable[timedelta | None]:
    """The different offsets of ``times``, which are all of one ``kind``."""
    zones = [*map(attrgetter("tzinfo"), times)]
    if FIXED.issuperset(map(type, zones)):
        return [zone and zone.utcoffset(None) for zone in {*zones}]
    return {*map(kind.utcoffset, times)}


def _has_seconds(offset: timedelta | None) -> bool:
    return offset is not None and (offset.seconds % 60 or offset.microseconds) != 0


def _is_rounded(value: datetime | time) -> bool:
    return _has_seconds(value.utcoffset())


def exact(value: Any) -> Any:
    """``value`` with each time as text whose offset msgspec would round."""
    kind = type(value)
    if kind in ATOMS:
        return value
    if kind is datetime or kind is time:
        return value.isoformat() if _is_rounded(value) else value
    if kind is dict:
        return {exact(key): exact(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [*map(exact, value)]
    simple = _simple(value)
    return value if simple is value else exact(simple)


def _simple(value: Any) -> Any:
    """``value`` as one of JSON's own types, but for the times in it."""
    return msgspec.to_builtins(value, builtin_types=(datetime, time), enc_hook=plain)


def repaired(value: Any) -> Any:
    """``value`` as JSON's own types, its lone surrogates as U+FFFD."""
    return _repaired(msgspec.to_builtins(exact(value), str_keys=True, enc_hook=plain))


def _repaired(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return repaired_text(value)
    if kind is list or kind is tuple:
        return [_repaired(item) for item in value]
    if kind is dict:
        return {repaired_text(key): _repaired(item) for key, item in value.items()}
    return value


def repaired_text(text: str) -> str:
    """``text`` with each lone surrogate as U+FFFD, and each pair of them as its character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
