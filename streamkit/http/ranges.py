"""Which bytes a ``Range`` header asks for."""

import re
from typing import Final

__all__ = ["requested"]

MAX_RANGES: Final = 16
"""A client that asks for more ranges at once gets the whole: it may be about to attack.

RFC 9110, sections 14.2 and 17.15, lets a server ignore many small ranges, and names no number. A
judgement: a viewer that reads a few pages of a document asks for fewer, and merging so many, each
with all before it, takes no time.
"""

# A position has ASCII digits and nothing else: more of them than any size has, and few enough for
# int(), which takes 4300.
_RANGE: Final = re.compile(r"([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99})")


def requested(value: str, size: int) -> list[range] | None:
    """The ranges of bytes that ``value`` asks for, of a whole of ``size`` bytes.

    They stand in the order in which they were asked for, and those that overlap or touch are one.
    An empty list says that none of them is in the whole (416). None says that the header is to be
    ignored: it is malformed, in another unit, asks for very many ranges, or for a part of nothing.

    RFC 9110, sections 14.1.2 and 14.2. werkzeug's parser refuses ranges that are not in order.
    """
    unit, _, listed = value.partition("=")
    range_specs = [item for item in map(_stripped, listed.split(",")) if item]
    if unit.lower() != "bytes" or listed != _stripped(listed) or not size:
        return None
    if not 0 < len(range_specs) <= MAX_RANGES:
        return None
    ranges: list[range] = []
    for range_spec in range_specs:
        match = _RANGE.fullmatch(range_spec)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            start, stop = max(0, size - int(suffix)), size
        else:
            start, stop = int(first), min(int(last) + 1, size) if last else size
            if last and int(last) < start:
                return None
        if start < stop:
            _merge(ranges, range(start, stop))
    return ranges


def _stripped(item: str) -> str:
    """``item`` without the white space that may stand around a comma."""
    return item.strip(" \t")


def _merge(ranges: list[range], added: range) -> None:
    """Add a range to ``ranges``, in the place of the first one that it touches."""
    touched = [r for r in ranges if r.start <= added.stop and added.start <= r.stop]
    place = ranges.index(touched[0]) if touched else len(ranges)
    for r in touched:
        ranges.remove(r)
        added = range(min(r.start, added.start), max(r.stop, added.stop))
    ranges.insert(place, added)
