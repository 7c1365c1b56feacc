"""Open files of all sorts: what is in their wrappers, and how one is read once."""

import io
import os
import stat
from collections.abc import AsyncIterator, Iterator
from inspect import iscoroutinefunction, unwrap
from typing import Any, Final

from streamkit.source import aclose

__all__ = ["PIECE_BYTES", "file_source", "is_regular", "unwrapped"]

PIECE_BYTES: Final = 64 * 1024
"""Bytes that are read at a time of a file, or cut of what is in memory.

As many as a chunk has (``CHUNK_BYTES`` in streamkit/stream/batches.py, which says why): each piece
is sent as it is, and neither joined to others nor copied.
"""


class _FileSource:
    """An open file that is read once, from where it stands."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        # The file's own iterator gives lines, which may be of any length.
        while piece := self._file.read(PIECE_BYTES):
            yield piece

    def close(self) -> None:
        if hasattr(self._file, "close"):
            self._file.close()


class _AsyncFileSource:
    """An open file whose methods are coroutine functions, read once, from where it stands."""

    def __init__(self, file: Any) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._file.read(PIECE_BYTES):
            yield piece

    async def aclose(self) -> None:
        await aclose(self._file)


def file_source(source: Any) -> Any:
    """An open file as a source of pieces, and any other source as it is.

    Raises TypeError for a file that is open in text mode, ValueError for one that cannot be read.
    """
    if isinstance(unwrapped(source), io.TextIOBase):
        raise TypeError('source must be a binary file, got one in text mode: open it with "rb"')
    if isinstance(source, io.IOBase) and not source.readable():
        raise ValueError(f'source must be a file that is open for reading, "rb", got {source!r}')
    read = getattr(source, "read", None)
    if not callable(read):
        return source
    return (_AsyncFileSource if iscoroutinefunction(read) else _FileSource)(source)


def unwrapped(file: Any) -> Any:
    """The file that is in a wrapper, such as those of ``tempfile`` and of Django."""
    while hasattr(file, "file") and _reads_as(file, file.file):
        file = file.file
    return file


def _reads_as(file: Any, wrapped: Any) -> bool:
    """Whether ``file`` reads what it has ``wrapped`` as it is, and does not decrypt it, say."""
    read: Any = getattr(file, "read", None)
    reads: Any = getattr(wrapped, "read", None)
    return read is not None and unwrap(read) == unwrap(reads)


def is_regular(file: Any) -> bool:
    # A buffered reader may have a decompressor under it, or the member of an archive, whose bytes
    # are not those of a file.
    raw = file.raw if isinstance(file, io.BufferedReader | io.BufferedRandom) else file
    return (
        isinstance(raw, io.FileIO)
        and raw.readable()
        and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
    )
