"""What a value is in JSON, the same in every format.

msgspec knows most types; here are the ones that it leaves to its ``enc_hook``.
"""

from datetime import date, time, timedelta
from decimal import Decimal
from functools import singledispatch
from typing import Any, Final
from uuid import UUID

import msgspec

from streamkit.rows.reading import read

__all__ = ["encoder", "plain", "repaired", "repaired_text"]


@singledispatch
def plain(value: Any) -> Any:
    """``value`` as a value of a type that msgspec encodes.

    A function for values of another type is registered as with any ``functools.singledispatch``:
    ``plain.register(Money, str)``. Raises TypeError if there is none.
    """
    if type(value).__qualname__ == "NAType":
        # Pandas has one object of this type, which stands for a value that is missing.
        return None
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        # Scalars and arrays of numpy come here. Their tolist() makes a bare int of a time in
        # nanoseconds, for which datetime has no place.
        name = getattr(value.dtype, "str", "")
        if name.endswith("[ns]"):
            value = value.astype(name.replace("[ns]", "[us]"))
        return value.tolist()
    try:
        names, values = read(value)
    except TypeError:
        raise TypeError(
            f"a value of type {type(value).__name__} cannot be encoded: "
            "pass a serialize that turns it into text"
        ) from None
    return list(values) if names is None else dict(zip(names, values, strict=True))


# msgspec takes these themselves, but not their subclasses.
plain.register(str, str.__str__)
plain.register(int, int.__int__)
plain.register(float, float.__float__)
plain.register(bytes, bytes.__bytes__)
plain.register(Decimal, Decimal.__str__)
plain.register(UUID, UUID.__str__)


@plain.register
def _(value: date | time) -> str | None:
    # NaT, which stands for a time that is missing in pandas, passes for a datetime, but does not
    # equal itself.
    return value.isoformat() if value == value else None


@plain.register
def _(value: timedelta) -> timedelta:
    # A subclass, such as the Timedelta of pandas, comes here: msgspec takes the base class alone.
    return timedelta(value.days, value.seconds, value.microseconds)


@plain.register
def _(value: msgspec.UnsetType) -> None:
    return None


encoder: Final = msgspec.json.Encoder(enc_hook=plain)
"""What makes JSON of values. Raises UnicodeEncodeError for a lone surrogate in a text."""


def repaired(value: Any) -> Any:
    """``value`` as JSON's own types, its lone surrogates as U+FFFD."""
    return _repaired(msgspec.to_builtins(value, str_keys=True, enc_hook=plain))


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
