"""The names of columns, and what their source declares of their types."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Final
from uuid import UUID

__all__ = ["AWARE", "NAIVE", "Header", "decimal_of_scale", "example_of_type"]

NAIVE: Final = datetime(1970, 1, 1)
AWARE: Final = NAIVE.replace(tzinfo=UTC)
"""Examples of times without and with an offset, of which no column may have both."""

MAX_PLACES: Final = 38
"""Of a decimal of 128 bits, which is what readers know."""

EXAMPLES: Final[dict[Any, Any]] = {
    bool: False,
    int: 0,
    float: 0.0,
    str: "",
    bytes: b"",
    bytearray: b"",
    date: date.min,
    time: time.min,
    timedelta: timedelta(),
    UUID: UUID(int=0),
    IPv4Address: IPv4Address(0),
    IPv6Address: IPv6Address(0),
    Path: Path(),
}
"""A value of each type whose values are alike. Those of a ``datetime`` may have an offset or not,
and those of a ``Decimal`` different places, so that these types alone do not tell."""


class Header(tuple[Any, ...]):
    """The names of columns, of which the source may know the types as well.

    A type is given by an ``example``, a value as the source has them, so that each format makes of
    it what it makes of the values themselves: ``0`` for a column of integers, ``[0]`` for one of
    lists of them, ``Decimal("0.00")`` for one with two places. None where it is not known.
    """

    _examples: Callable[[], Sequence[Any]]

    def __new__(cls, names: Sequence[Any], examples: Callable[[], Sequence[Any]]) -> "Header":
        header = super().__new__(cls, names)
        header._examples = examples
        return header

    @property
    def examples(self) -> Sequence[Any]:
        """One value, or None, for each name. It is found out when it is asked for."""
        examples = self._examples()
        return examples if len(examples) == len(self) else [None] * len(self)


def example_of_type(kind: Any) -> Any:
    """An example of the values of a Python type; None for one whose values may differ."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        # Its values are those of its members, which are of one type but for odd ones.
        examples = [example_of_type(type(member.value)) for member in kind]
        return examples[0] if examples and examples.count(examples[0]) == len(examples) else None
    return EXAMPLES.get(kind)


def decimal_of_scale(scale: int | None) -> Decimal | None:
    """An example of a decimal with so many places; None if the number is none of places.

    psycopg2 says 65,535 where there is no limit.
    """
    if scale is None or scale not in range(MAX_PLACES + 1):
        return None
    return Decimal((0, (0,), -scale))
