"""What every encoder is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from streamkit.rows.values import repaired_text

__all__ = ["Encoder"]


class Encoder(ABC):
    """Turns batches of elements into bytes. Pure: no I/O, no clock, no thread; one a stream."""

    refused: list[ValueError]
    """Why elements were left out that the format cannot carry. Whoever reads it clears it."""

    repaired: int
    """How many rows or events had a lone surrogate, which UTF-8 cannot carry, sent as U+FFFD."""

    def __init__(self) -> None:
        self.refused = []
        self.repaired = 0

    def begin(self) -> bytes:
        """What stands before the first element."""
        return b""

    @abstractmethod
    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        """The bytes of a batch, which is not empty, in pieces: the pipeline joins small ones.

        Raises what the element raises that cannot be encoded, after the pieces of those before it.
        """

    def end(self) -> bytes:
        """What stands after the last element."""
        return b""

    def retry(self, milliseconds: int) -> bytes:
        """When the client is to come back; nothing in a format that cannot say so."""
        return b""

    def comment(self, text: str) -> bytes:
        """``text`` where no element sees it; nothing in a format that has no comments."""
        return b""

    def _utf8(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            self.repaired += 1
            return repaired_text(text).encode()
