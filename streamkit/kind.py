"""The three kinds of stream, and all that is decided for them."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["DOWNLOAD", "EXPORT", "MAX_BUFFERED_BYTES", "SSE", "Kind"]

MAX_BUFFERED_BYTES: Final = 4 * 1024 * 1024
"""What a buffer holds of elements that are bytes or text, or one element that is larger."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table: how a stream treats a slow client and a silent source.

    ``capacity`` counts elements. ``strategy`` says what a full buffer does: ``suspend`` lets the
    source wait, ``sliding`` drops the oldest element. ``heartbeat`` is in seconds. A ``live``
    stream is for as long as its client is there. One with a ``max_age``, in seconds, is ended when
    it is so old, give or take a tenth, or when its process shuts down. The others go on to their
    end.
    """

    name: Literal["sse", "download", "export"]
    capacity: int
    strategy: Literal["suspend", "sliding"]
    heartbeat: float | None
    live: bool
    max_age: float | None


# A slow client of a live stream wants the present, not the past; of a file, every byte.
SSE = Kind("sse", capacity=64, strategy="sliding", heartbeat=30.0, live=True, max_age=3600.0)
DOWNLOAD = Kind(
    "download", capacity=256, strategy="suspend", heartbeat=None, live=False, max_age=None
)
EXPORT = Kind("export", capacity=128, strategy="suspend", heartbeat=None, live=False, max_age=None)
