"""What a value is in JSON, the same in every format.

msgspec knows most types; the ones that it leaves to its ``enc_hook`` are in ``plain``.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from streamkit.rows.offsets import exact, has_rounded
from streamkit.rows.plain import plain

__all__ = ["json_arrays", "json_lines", "json_of", "repaired", "repaired_text"]

_encoder: Final = msgspec.json.Encoder(enc_hook=plain)

LINE_ENDS: Final = (
    (b"\xc2", b"\xc2\x85", b"\\u0085"),
    (b"\xe2", b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2", b"\xe2\x80\xa9", b"\\u2029"),
)
"""What many readers of lines take for the end of one (``str.splitlines``), and JSON does not: the
first byte of each, which few letters of any script begin with, all of it, and its escape."""


def json_of(value: Any) -> bytes:
    """``value`` as JSON, in which no reader finds the end of a line.

    Raises UnicodeEncodeError for a lone surrogate in a text.
    """
    text = _encoder.encode(value)
    if has_rounded((value,), text):
        text = _encoder.encode(exact(value))
    return text if text.isascii() else _without_line_ends(text)


def json_lines(values: Sequence[Any]) -> bytes:
    """Each of ``values`` as JSON on a line of its own. Raises what ``json_of`` raises."""
    text = json_arrays(values)
    return text if text.isascii() else _without_line_ends(text)


def json_arrays(rows: Sequence[Any]) -> bytes:
    """As ``json_lines``, for what is no JSON in the end: U+0085, U+2028 and U+2029 stay there."""
    text = _encoder.encode_lines(rows)
    if has_rounded(rows, text):
        text = _encoder.encode_lines([*map(exact, rows)])
    return text


def _without_line_ends(text: bytes) -> bytes:
    for first, character, escape in LINE_ENDS:
        # To look for one byte takes a tenth of the time that two or three take.
        if first in text and character in text:
            text = text.replace(character, escape)
    return text


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
