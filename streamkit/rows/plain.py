"""Values of types that msgspec leaves to its ``enc_hook``, as values of types that it encodes."""

import ipaddress
import re
import sys
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from functools import singledispatch
from operator import attrgetter, methodcaller
from os import PathLike, fspath
from typing import Any, Final
from uuid import UUID

import msgspec

from streamkit.rows.arrays import plain_array
from streamkit.rows.durations import duration
from streamkit.rows.reading import declares, read

__all__ = ["plain"]


@singledispatch
def plain(value: Any) -> Any:
    """``value`` as a value of a type that msgspec encodes.

    A function for values of another type is registered as with any ``functools.singledispatch``:
    ``plain.register(Money, str)``. Raises TypeError if there is none.
    """
    kind: Any = type(value)
    if hasattr(value, "dtype"):
        made = plain_array(value)
        if type(made) is not kind:
            return made
    for base in kind.__mro__:
        known = _BY_NAME.get((base.__module__.partition(".")[0], base.__name__))
        if known is not None:
            return known(value)
    if declares(kind):
        names, values = read(value)
        return [*values] if names is None else dict(zip(names, values, strict=True))
    if hasattr(kind, "__get_pydantic_core_schema__"):
        # Pydantic's own types: addresses as their text, and secrets as asterisks.
        return sys.modules["pydantic_core"].to_jsonable_python(value)
    if hasattr(value, "lower_inc") and hasattr(value, "isempty"):
        return _range_text(value)
    for method in ("as_py", "to_pylist", "to_list"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(
        f"a value of type {kind.__name__} cannot be encoded: yield in its place what can, such as "
        "its str()"
    )


def _none(value: object) -> None:
    return None


# The names of types, and of the packages that they are from, whose values tell by nothing that they
# offer what they are.
_BY_NAME: Final[dict[tuple[str, str], Callable[[Any], Any]]] = {
    ("asyncpg", "BitString"): methodcaller("as_string"),
    ("asyncpg", "Path"): list,
    ("bson", "Decimal128"): str,
    ("bson", "ObjectId"): str,
    # The column of a file has its name in it.
    ("django", "FieldFile"): attrgetter("name"),
    # A lazy translation.
    ("django", "Promise"): str,
    ("pandas", "Interval"): str,
    # There is one object of this type, which stands for a value that is missing.
    ("pandas", "NAType"): _none,
    ("pandas", "Period"): str,
}

# msgspec takes these themselves, but not their subclasses.
plain.register(str, str.__str__)
plain.register(int, int.__int__)
plain.register(float, float.__float__)
plain.register(bytes, bytes.__bytes__)
plain.register(Decimal, Decimal.__str__)
plain.register(UUID, UUID.__str__)

plain.register(PathLike, fspath)
for _address in ("Address", "Interface", "Network"):
    plain.register(getattr(ipaddress, f"IPv4{_address}"), str)
    plain.register(getattr(ipaddress, f"IPv6{_address}"), str)


@plain.register(list)
@plain.register(tuple)
@plain.register(dict)
@plain.register(set)
@plain.register(frozenset)
def _(value: Any) -> Any:
    # msgspec takes these as values, and so this one is a key.
    raise TypeError(f"a mapping whose keys are of type {type(value).__name__} cannot be encoded")


@plain.register
def _(value: date | time) -> str | None:
    # NaT, which stands for a time that is missing in pandas, passes for a datetime, but does not
    # equal itself.
    if value != value:
        return None
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


@plain.register
def _(value: timedelta) -> timedelta | str:
    # A subclass, such as the Timedelta of pandas, comes here: msgspec takes the base class alone.
    nanoseconds = getattr(value, "nanoseconds", 0)
    base = timedelta(value.days, value.seconds, value.microseconds)
    if not nanoseconds:
        return base
    return duration(base // timedelta(microseconds=1) * 1000 + nanoseconds, 9)


@plain.register
def _(value: msgspec.UnsetType) -> None:
    return None


# What PostgreSQL sets quotes around in a bound of a range ("Range Types" in its documentation).
_QUOTED_IN_RANGES: Final = re.compile(r'[\s,()\[\]"\\]|\A\Z')


def _range_text(value: Any) -> str:
    """A range as PostgreSQL writes it, whatever driver it comes from."""
    if value.isempty:
        return "empty"
    lower, upper = (_bound_text(bound) for bound in (value.lower, value.upper))
    return f"{'(['[value.lower_inc]}{lower},{upper}{')]'[value.upper_inc]}"


def _bound_text(bound: Any) -> str:
    if bound is None:
        return ""
    text = str(plain(bound) if isinstance(bound, date | Decimal) else bound)
    if _QUOTED_IN_RANGES.search(text):
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return text
