"""Bytes as they are."""

from collections.abc import Iterator, Sequence
from typing import Any

from streamkit.encoders.base import Encoder
from streamkit.errors import SizeMismatch

__all__ = ["OctetsEncoder", "octets"]


class OctetsEncoder(Encoder):
    """Bytes-like elements, each a piece; ``bytes`` are passed on without a copy.

    ``size`` is the number of bytes that all of them together must have. The piece that reaches it
    is kept for ``end``, so that a body which turns out too long has not looked complete before.

    Raises TypeError for an element that is not bytes-like, and SizeMismatch for more bytes than
    ``size`` or, from ``end``, for fewer.
    """

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self._size = size
        self._seen = 0
        self._last = b""

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        for element in batch:
            piece = octets(element)
            if not piece:
                continue
            self._seen += len(piece)
            if self._size is None or self._seen < self._size:
                yield piece
            elif self._seen == self._size:
                self._last = piece
            else:
                raise SizeMismatch(
                    f"a size of {self._size} bytes was declared, "
                    f"but the source yielded {self._seen} or more"
                )

    def end(self) -> bytes:
        if self._size is not None and self._seen < self._size:
            raise SizeMismatch(
                f"a size of {self._size} bytes was declared, but the source yielded {self._seen}"
            )
        return self._last


def octets(element: Any) -> bytes:
    """The bytes of what is bytes-like. Raises TypeError for anything else."""
    if type(element) is bytes:
        return element
    try:
        return memoryview(element).tobytes()
    except TypeError:
        raise TypeError(
            f"a download's source must yield bytes-like objects, got {type(element).__name__}"
        ) from None
