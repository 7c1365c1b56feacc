"""A ZIP archive that is written while it streams."""

import io
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

__all__ = ["MAX_PLAIN_BYTES", "Archive"]

MAX_PLAIN_BYTES: Final = 2**31 - 2**16
"""Of a member that is written without 64-bit sizes, which not every reader takes, and ``zipfile``
itself has to know of before."""

LEVEL: Final = 1
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

    def begin(
        self, name: str, date_time: Any = (1980, 1, 1, 0, 0, 0), *, large: bool = False
    ) -> None:
        """The next member is of this ``name``; the one before it is whole.

        One that may have more than MAX_PLAIN_BYTES is to be begun as a ``large`` one.
        """
        self._end()
        info = ZipInfo(name, date_time)
        info.compress_type = ZIP_DEFLATED
        # It became public with Python 3.13, under another name.
        level = "compress_level" if hasattr(info, "compress_level") else "_compresslevel"
        setattr(info, level, LEVEL)
        self._member = self._archive.open(info, "w", force_zip64=large)

    def write(self, piece: Any) -> None:
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
