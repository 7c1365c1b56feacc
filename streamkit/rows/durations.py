"""Spans of time, in ISO 8601."""

__all__ = ["duration"]

SECONDS_A_DAY = 86_400


def duration(count: int, digits: int) -> str:
    """``count`` of the tenths of a second that have so many ``digits``, as days and seconds.

    In nanoseconds, which have 9: ``duration(90_061_000_000_005, 9)`` is ``P1DT3661.000000005S``.
    As msgspec writes a ``timedelta``, for spans that none can have.
    """
    sign = "-" if count < 0 else ""
    seconds, fraction = divmod(abs(count), 10**digits)
    days, seconds = divmod(seconds, SECONDS_A_DAY)
    decimals = f".{fraction:0{digits}d}".rstrip("0") if fraction else ""
    clock = f"T{seconds}{decimals}S" if seconds or fraction else ""
    return f"{sign}P{days}D{clock}" if days or not clock else f"{sign}P{clock}"
