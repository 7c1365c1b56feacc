"""A ZIP archive that is written while it streams."""

import io
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

__all__ = ["Archive"]

LEVEL = 1
"""Of deflate: the fastest, as of the codings of other exports."""


class _Sink(io.RawIOBase):
    """What was written, until it is taken. It cannot seek, which ``zipfile`` does without."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        octets = bytes(piece)
        self._pieces.append(octets)
        return len(octets)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class _ZipFile(ZipFile):
    def __del__(self) -> None:
        """Nothing: the one of an archive that was broken off would go on to its end."""


class Archive:
    """Members one after the other, each written in pieces; ``take`` has the bytes of it by now.

    Each size and checksum follows its member (APPNOTE.TXT, section 4.3.9), and readers begin with
    the directory at the end: an archive that was broken off has none, and is none.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self._archive = _ZipFile(self._sink, "w", ZIP_DEFLATED, compresslevel=LEVEL)
        self._member: IO[bytes] | None = None

    def begin(self, name: str) -> None:
        """The next member is of this ``name``; the one before it is whole."""
        self._end()
        self._member = self._archive.open(name, "w")

    def write(self, piece: bytes) -> None:
        """Add to the member that was begun."""
        assert self._member is not None
        self._member.write(piece)

    def add(self, name: str, text: str) -> None:
        """A whole member."""
        self.begin(name)
        self.write(text.encode())

    def close(self) -> None:
        """There are no more members."""
        self._end()
        self._archive.close()

    def take(self) -> bytes:
        """The bytes that were not taken before."""
        return self._sink.take()

    def _end(self) -> None:
        if self._member is not None:
            self._member.close()
            self._member = None
