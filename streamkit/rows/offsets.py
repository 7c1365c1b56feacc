"""The offsets of times from UTC, which msgspec rounds to minutes."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta, timezone
from itertools import chain
from operator import attrgetter, countOf
from types import NoneType
from typing import Any, Final

import msgspec

from streamkit.rows.plain import plain
from streamkit.rows.reading import getters

__all__ = ["exact", "has_rounded"]

OFFSET: Final = re.compile(rb'\+..:.."')
OFFSET_WEST: Final = re.compile(rb'-..:.."')
"""How the text of a time ends that is not in UTC. To look for the sign first costs next to nothing,
as most JSON has no plus, and to ask for digits as well would take twice the time."""

FIXED: Final = frozenset({NoneType, timezone})
"""Types of zones whose offset is one and the same at any time."""

ATOMS: Final = frozenset({NoneType, bool, int, float, str, bytes})
"""Types of values that have neither a time in them nor anything else."""

TIMES: Final = frozenset({datetime, time})


def has_rounded(values: Sequence[Any], text: bytes) -> bool:
    """Whether there is a time in ``values`` whose offset is rounded in ``text``, their JSON.

    Then it is another one. Offsets have seconds in what zones were before they were agreed upon, a
    century ago.
    """
    if not ((b"+" in text and OFFSET.search(text)) or (b"-" in text and OFFSET_WEST.search(text))):
        return False
    offsets = _offsets_of_columns(values)
    if any(map(_has_seconds, offsets)):
        return True
    # If these are all that the text has, there is no need to look at every value.
    written = len(OFFSET.findall(text)) + len(OFFSET_WEST.findall(text))
    return written != offsets.total() and _has_rounded_inside(values)


def _offsets_of_columns(rows: Sequence[Any]) -> Counter[timedelta]:
    """The offsets in those columns of ``rows`` that are times, by the first row; not those of UTC.

    None if the rows are not all like the first one.
    """
    found: Counter[timedelta] = Counter()
    try:
        for get in getters(rows[0]):
            value = get(rows[0])
            if type(value) in TIMES or value is None:
                times = [*filter(None, map(get, rows))]
                kinds = {*map(type, times)}
                if len(kinds) == 1 and kinds <= TIMES:
                    found.update(_offsets(kinds.pop(), times))
    except (AttributeError, IndexError, KeyError, TypeError):
        return Counter()
    return found


def _has_rounded_inside(values: Iterable[Any]) -> bool:
    """Whether there is one anywhere. One level of nesting is looked at after the other, and each at
    once.
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


def _offsets(kind: Any, times: Sequence[Any]) -> Counter[timedelta]:
    """The offsets of ``times``, which are all of one ``kind``; not those of UTC."""
    zones = [*map(attrgetter("tzinfo"), times)]
    # One zone stands for as many times as have it: most often all of them.
    different = {zones[0]} if countOf(zones, zones[0]) == len(zones) else {*zones}
    if not FIXED.issuperset(map(type, different)):
        return Counter(filter(None, map(kind.utcoffset, times)))
    found: Counter[timedelta] = Counter()
    for zone in different - {None}:
        if offset := zone.utcoffset(None):
            found[offset] += countOf(zones, zone)
    return found


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
