"""Frames that write themselves as text, so that no value of theirs is made in Python."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from streamkit.rows.tables import Slices
from streamkit.source import Inline, inline

__all__ = ["FramePart", "read_frames"]

ROWS_AT_ONCE: Final = 8192
"""Rows of a part. Fewer would cost twice the time, and more would hold a loop up for longer than a
few milliseconds.
"""


class FramePart:
    """Some rows of a frame, one row at the least."""

    __slots__ = ("frame",)

    def __init__(self, frame: Any) -> None:
        self.frame = frame


def read_frames(source: Any) -> tuple[Any, Sequence[str]] | None:
    """The parts of ``source`` and the names of its columns; None if it is no frame of polars.

    They are iterable once; to close them closes the source.
    """
    if isinstance(source, Inline):
        found = read_frames(source.iterable)
        return found and (inline(found[0]), found[1])
    if hasattr(source, "iter_rows") and hasattr(source, "get_columns"):
        return Slices(source, partial(_of_polars, source)), source.columns
    return None


def _of_polars(frame: Any) -> Iterator[FramePart]:
    for start in range(0, frame.height if frame.width else 0, ROWS_AT_ONCE):
        yield FramePart(frame.slice(start, ROWS_AT_ONCE))
