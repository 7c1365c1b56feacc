"""What every encoder is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from streamkit.rows.values import repaired_text

__all__ = ["Encoder"]


class Encoder(ABC):
    """Turns batches of elements into bytes. Pure: no I/O, no clock, no thread; one a stream."""

    is_compressed: ClassVar[bool] = False
    """Whether the format is compressed by itself, so that nothing else should compress it."""

    __slots__ = ("refused", "repaired")

    refused: list[ValueError]
    """Why events were refused, one reason an event. Whoever reads the list clears it."""

    repaired: int
    """How many rows or events had a lone surrogate, which UTF-8 cannot carry, sent as U+FFFD."""

    def __init__(self) -> None:
        self.refused = []
        self.repaired = 0

    def begin(self) -> bytes:
        """The bytes before the first element."""
        return b""

    @abstractmethod
    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        """The bytes of a batch, which is not empty, in pieces: the pipeline joins small ones.

        Raises what the element raises that cannot be encoded, after the pieces of those before it.
        """

    def encode_one(self, element: Any) -> bytes:
        """What ``encode`` makes of a batch of one element, as most are of a paced stream."""
        return b"".join(self.encode((element,)))

    def end(self) -> bytes:
        """The bytes after the last element. Raises an error if the body is not whole by then."""
        return b""

    def dropped(self, elements: int) -> bytes:
        """The bytes that say how many elements were dropped just now."""
        return self.comment(f"dropped {elements}")

    def retry(self, milliseconds: int) -> bytes:
        """The bytes that say when a client is to come back; none in a format that cannot say so."""
        return b""

    def comment(self, text: str) -> bytes:
        """The bytes of ``text`` as a comment; none in a format that has no comments."""
        return b""

    def _utf8(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            self.repaired += 1
            return repaired_text(text).encode()
