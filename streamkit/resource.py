"""What has bytes, a known number of them, and can be read from any of them on."""

import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from inspect import isasyncgenfunction, iscoroutinefunction, signature
from os import PathLike
from typing import Any

from werkzeug.http import generate_etag

from streamkit.open_file import PIECE_BYTES, is_regular, unwrapped
from streamkit.source import check_async

__all__ = ["FileResource", "Open", "Resource", "resource_of"]

Open = Callable[[int, int], Iterable[bytes] | AsyncIterable[bytes]]
"""Returns the bytes of an object from one offset up to another, in pieces."""


class Resource(ABC):
    """Bytes of which a part can be read, and that can be told from what they were before."""

    size: int
    """How many bytes it has."""
    last_modified: datetime | None = None
    """When it last changed, as far as that is known."""
    is_async: bool = False
    """Whether ``read`` returns an async iterable."""
    never_waits: bool = False
    """Whether no step of reading and closing it waits for anything, so that it takes no thread."""

    @property
    def etag(self) -> str | None:
        """A strong entity tag without its quotes (RFC 9110, section 8.8.3), if there is one."""
        return None

    @abstractmethod
    def read(self, start: int, stop: int) -> Iterable[bytes] | AsyncIterable[bytes]:
        """The bytes from the offset ``start`` up to ``stop``, in pieces."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Let go of what is open: nobody wants the bytes any more. Idempotent."""


class MemoryResource(Resource):
    """Bytes in memory, and what to close after them."""

    never_waits = True

    def __init__(
        self, data: bytes | bytearray | memoryview, close: Callable[[], object] = lambda: None
    ) -> None:
        # A bytearray or a memoryview is copied, since its owner may change it while it is sent.
        self._data = bytes(data)
        self._close = close
        self.size = len(self._data)

    @property
    def etag(self) -> str:
        return generate_etag(self._data)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        for offset in range(start, stop, PIECE_BYTES):
            yield self._data[offset : min(offset + PIECE_BYTES, stop)]

    def close(self) -> None:
        self._close()


class FileResource(Resource):
    """An open regular file, from where it stands to its end."""

    never_waits = True

    def __init__(
        self, file: Any, path: str | None = None, status: os.stat_result | None = None
    ) -> None:
        """``path`` is what was opened, if a path was given, and ``status`` what it is, if known."""
        opened = unwrapped(file)
        # What was written to the file may still be in its buffer, and not on the disk.
        opened.flush()
        self._begin = opened.tell()
        self.file: io.FileIO = getattr(opened, "raw", opened)
        """The file without its buffer, since a server that sends it itself uses the descriptor."""
        self._path = path
        self._close = file.close
        self._status = os.fstat(self.file.fileno()) if status is None else status
        self.size = max(0, self._status.st_size - self._begin)
        self.last_modified = _date(self._status.st_mtime)

    @property
    def etag(self) -> str:
        status = self._status
        etag = f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"
        return f"{etag}-{self._begin:x}" if self._begin else etag

    @property
    def is_whole(self) -> bool:
        """Whether it begins where the file does."""
        return not self._begin

    @property
    def path(self) -> str | None:
        """The path that was opened, if one was given and the same file is still there."""
        if self._path is not None:
            with suppress(OSError):
                if os.path.samestat(os.stat(self._path), self._status):
                    return self._path
        return None

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        self.file.seek(self._begin + start)
        missing = stop - start
        while missing and (piece := self.file.read(min(missing, PIECE_BYTES))):
            missing -= len(piece)
            yield piece

    def close(self) -> None:
        self._close()


def _date(seconds: float) -> datetime | None:
    """None for a time that no date of HTTP can name (RFC 9110, section 5.6.7)."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OSError, OverflowError, ValueError):
        return None


class ReopenableResource(Resource):
    """A function that returns the bytes from one offset up to another."""

    def __init__(self, open: Open, size: int) -> None:
        self._open = open
        self.size = size
        self.is_async = isasyncgenfunction(open) or isasyncgenfunction(type(open).__call__)

    def read(self, start: int, stop: int) -> Iterable[bytes] | AsyncIterable[bytes]:
        pieces = self._open(start, stop)
        if not hasattr(pieces, "__aiter__" if self.is_async else "__iter__"):
            raise TypeError(
                "source must return an iterable of bytes, or be an async generator function, "
                f"and returned {type(pieces).__name__}"
            )
        return pieces


def resource_of(source: Any, size: int | None) -> Resource | None:
    """The resource that ``source`` is; None if it can only be read once, from its beginning.

    Raises OSError for a path where there is no file that can be read, TypeError for a function that
    does not take two offsets, and ValueError for one without a ``size``.
    """
    if isinstance(source, str | PathLike):
        return _open(os.fsdecode(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return MemoryResource(source)
    opened = unwrapped(source)
    if isinstance(opened, io.BytesIO):
        return MemoryResource(opened.getvalue()[opened.tell() :], source.close)
    if is_regular(opened):
        return FileResource(source)
    if callable(source) and not hasattr(source, "__iter__") and not hasattr(source, "__aiter__"):
        return _reopenable(source, size)
    return None


def _open(path: str) -> FileResource:
    try:
        # To open a pipe would be to wait for whoever writes to it, and one may be put in the place
        # of a file at any moment.
        file = io.FileIO(path, opener=_open_without_waiting)
    except OSError as error:
        reason = f"source must be a file that can be read: {error.strerror}"
        raise type(error)(error.errno, reason, path) from None
    except ValueError:
        raise ValueError(f"source must be the path of a file, got {path!r}") from None
    try:
        status = os.fstat(file.fileno())
        _check_file(file, status, path)
        return FileResource(file, os.path.abspath(path), status)
    except BaseException:
        file.close()
        raise


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_file(file: io.FileIO, status: os.stat_result, path: str) -> None:
    """Raise ValueError if it is no regular file, or one of another size than it says.

    As in ``/proc`` and ``/sys``, where files are made when they are read.
    """
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"source must be the path of a regular file, got {path!r}")
    if not hasattr(os, "pread"):
        # On Windows, which makes no such files.
        return
    if len(os.pread(file.fileno(), 2, max(0, status.st_size - 1))) != min(1, status.st_size):
        raise ValueError(
            "source must be a file that knows its size, which those that a system makes as they "
            f"are read do not: read {path!r}, and pass its bytes"
        )


def _reopenable(function: Any, size: int | None) -> ReopenableResource | None:
    if not _takes(function, 0, 0):
        if _takes(function):
            # A function without arguments makes the source, and should have been called: whoever
            # checks the source says so.
            return None
        raise TypeError(
            "source must have bytes, or be a function of two offsets that returns what is between "
            f"them, got {function!r}"
        )
    if iscoroutinefunction(function):
        raise TypeError(
            "source must be a function that returns an iterable, or an async generator function, "
            f"got the coroutine function {function!r}"
        )
    if size is None:
        raise ValueError("size, in bytes, must be given with a source that is a function")
    resource = ReopenableResource(function, size)
    if resource.is_async:
        check_async("source")
    return resource


def _takes(function: Any, *arguments: object) -> bool:
    """Whether ``function`` can be called with these ``arguments``, as far as it tells."""
    try:
        signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        # A function that is written in C may not tell what it takes.
        return True
    return True
