"""What the service is called with, checked before a source is touched.

Each error names the argument, what was expected and what was given. No check changes, calls or
iterates what it is given.
"""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from werkzeug.http import quote_etag

__all__ = [
    "check_callable",
    "check_columns",
    "check_content_type",
    "check_etag",
    "check_last_modified",
    "check_name",
    "check_size",
    "check_tenant",
]

# An entity tag is as in RFC 9110, section 8.8.3, but for the quotes, which may be absent.
_ETAG = re.compile(r'(W/)?"([!#-~]*)"|([!#-~]+)')

# A media type is as in RFC 9110, section 8.3.1. Its parameters are taken as they are, if only they
# have nothing in them that would end the header.
_MEDIA_TYPE = re.compile(r"[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+ *(;|$)", re.ASCII)


def check_name(argument: str, value: object) -> None:
    """Raise TypeError if ``value`` is no str, ValueError if it is blank or not printable."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, got {type(value).__name__}")
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{argument} must be printable and not blank, got {value!r}")


def check_callable(argument: str, value: object) -> None:
    """Raise TypeError if ``value`` is neither None nor callable, or is a coroutine function.

    The latter would return something to await, where there may be no loop.
    """
    if value is not None and not callable(value):
        raise TypeError(
            f"{argument} must be a function of one element, or None, got {type(value).__name__}"
        )
    if inspect.iscoroutinefunction(value):
        raise TypeError(
            f"{argument} must be a function of one element, not an async one: await in the source"
        )


def check_columns(value: object) -> dict[str, str] | None:
    """The names of columns, each with its title; None for None.

    Raises TypeError if ``value`` is neither a sequence of names nor a mapping from names to titles,
    and ValueError if it is empty or has a name or a title twice.
    """
    if value is None:
        return None
    expected = "columns must be a sequence of names, or a mapping from names to titles"
    if not isinstance(value, Sequence | Mapping) or isinstance(value, str | bytes):
        # A set has no order, and of a text each letter would be a name.
        is_ordered = isinstance(value, Iterable) and not isinstance(value, str | bytes | set)
        hint = ": pass list(...) of it" if is_ordered else ""
        raise TypeError(f"{expected}, got {type(value).__name__}{hint}")
    names = [*value]
    columns = dict(value) if isinstance(value, Mapping) else dict(zip(names, names, strict=True))
    for text in (*columns, *columns.values()):
        if not isinstance(text, str):
            raise TypeError(f"{expected}, got a name of type {type(text).__name__}: {text!r}")
    if not columns:
        raise ValueError(f"{expected}, got none: leave columns out for all of them")
    if len(columns) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"columns must name each column once, got {twice!r} twice")
    titles = [*columns.values()]
    if len({*titles}) < len(titles):
        twice = next(title for title in titles if titles.count(title) > 1)
        raise ValueError(f"columns must have a title of their own each, got {twice!r} twice")
    return columns


def check_tenant(value: object) -> None:
    """Raise TypeError if ``value`` is neither None nor callable, or is a coroutine function."""
    if value is not None and not callable(value):
        raise TypeError(
            "tenant must be a function that takes the request and returns a name, or None, got "
            f"{value!r}"
        )
    if inspect.iscoroutinefunction(value):
        raise TypeError("tenant must be a function that returns a name, not an async one")


def check_size(size: object) -> None:
    """Raise TypeError if ``size`` is neither None nor an int, ValueError if it is negative."""
    if size is None:
        return
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"size must be a number of bytes, an int, got {type(size).__name__}")
    if size < 0:
        raise ValueError(f"size must be a number of bytes, not negative, got {size}")


def check_etag(value: object) -> str | None:
    """The entity tag as it is sent, in quotes; None for None (RFC 9110, section 8.8.3).

    Raises TypeError if it is no str, and ValueError if no header could carry it.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"etag must be a str, got {type(value).__name__}")
    match = _ETAG.fullmatch(value)
    if match is None:
        raise ValueError(f"etag must be of printable ASCII without spaces or quotes, got {value!r}")
    return value if match[3] is None else quote_etag(value)


def check_last_modified(value: object) -> datetime | None:
    """The time with its zone, which is UTC if it has none; None for None.

    Raises TypeError if it is no datetime.
    """
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"last_modified must be a datetime, got {type(value).__name__}")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def check_content_type(value: object) -> str | None:
    """The media type as it is; None for None (RFC 9110, section 8.3.1).

    Raises TypeError if it is no str, and ValueError if it is no media type, or no header could
    carry it.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"content_type must be a str, got {type(value).__name__}")
    if not _MEDIA_TYPE.match(value) or not value.isprintable() or not value.isascii():
        raise ValueError(
            f"content_type must be a media type such as 'application/pdf', got {value!r}"
        )
    return value
