"""Many files as one: a ZIP archive that is made while it is downloaded."""

import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from os import PathLike
from typing import IO, Any, Final

from streamkit.encoders.archive import MAX_PLAIN_BYTES, Archive
from streamkit.http.disposition import safe_path
from streamkit.open_file import PIECE_BYTES, file_source
from streamkit.source import aclose, check_source

__all__ = ["zipped"]

Octets = bytes | bytearray | memoryview
Content = str | PathLike[str] | IO[bytes] | Octets | Iterable[Octets] | AsyncIterable[Octets]
Entry = tuple[str, Content]

OLDEST: Final = (1980, 1, 1, 0, 0, 0)
"""The first time that an archive can tell (APPNOTE.TXT, section 4.4.6)."""

NEWEST: Final = (2107, 12, 31, 23, 59, 58)
"""And the last."""


def zipped(entries: Iterable[Entry] | AsyncIterable[Entry]) -> "_Zipped | _AsyncZipped":
    """A source for a download: a ZIP archive of ``entries``, made while it streams.

    An entry is a name and what is in it: a path, an open binary file, bytes, or an iterable of
    bytes-like pieces. Of async ``entries`` the iterables may be async. Each is opened when its turn
    comes, and closed before the next one. Names may have folders in them (``may/a.pdf``); they are
    made safe, and one that was there already gets a number: ``a (2).pdf``.

    Raises TypeError if ``entries`` is no iterable::

        files = ((order.number + ".pdf", order.invoice.path) for order in orders)
        return StreamingService.download(zipped(files), filename="invoices.zip")
    """
    check_source("entries", entries)
    return _AsyncZipped(entries) if hasattr(entries, "__aiter__") else _Zipped(entries)


class _Zipped:
    """An archive of sync entries, read once."""

    def __init__(self, entries: Any) -> None:
        self._entries = entries

    def __iter__(self) -> Iterator[bytes]:
        members = _Members()
        for entry in self._entries:
            content = members.begin(entry)
            try:
                for piece in content:
                    yield members.add(piece)
            finally:
                _close(content)
        yield members.end()

    def close(self) -> None:
        _close(self._entries)


class _AsyncZipped:
    """An archive of async entries, whose contents are sync or async, read once."""

    def __init__(self, entries: Any) -> None:
        self._entries = entries

    async def __aiter__(self) -> AsyncIterator[bytes]:
        members = _Members()
        async for entry in self._entries:
            content = members.begin(entry)
            try:
                if hasattr(content, "__aiter__"):
                    async for piece in content:
                        yield members.add(piece)
                else:
                    for piece in content:
                        yield members.add(piece)
            finally:
                await aclose(content)
        yield members.end()

    async def aclose(self) -> None:
        await aclose(self._entries)


class _Members:
    """The members of an archive, one after the other."""

    def __init__(self) -> None:
        self._archive = Archive()
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}
        """The folders that were asked for, each with the name that it got."""
        self._numbers: dict[str, int] = {}
        """The last number that was set behind a name."""

    def begin(self, entry: Any) -> Any:
        """Begin with the next one, and return what is in it: pieces, sync or async.

        Raises TypeError or ValueError if it is none.
        """
        if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[0], str):
            raise TypeError(f"an entry must be a name and what is in it, got {entry!r:.80}")
        name, content = entry
        try:
            return self._begin(name, content)
        except Exception as error:
            error.add_note(f"It was raised for the entry {name!r} of the archive.")
            raise

    def _begin(self, name: str, content: Any) -> Any:
        date_time = time.localtime()[:6]
        size: int | None = None
        if isinstance(content, str | PathLike):
            content = open(content, "rb")  # noqa: SIM115 - closed by whoever reads it
            status = os.fstat(content.fileno())
            size, date_time = status.st_size, time.localtime(status.st_mtime)[:6]
        elif isinstance(content, bytes | bytearray | memoryview):
            size = len(content)
            content = [content]
        is_large = size is None or size > MAX_PLAIN_BYTES
        date_time = min(max(date_time, OLDEST), NEWEST)
        self._archive.begin(self._unique(safe_path(name)), date_time, large=is_large)
        source = file_source(content)
        check_source("what is in an entry", source)
        return source

    def add(self, piece: Any) -> bytes:
        """More of it; returns what is there of the archive by now."""
        if isinstance(piece, str):
            raise TypeError("what is in an entry must be bytes-like pieces, got str")
        octets = memoryview(piece).cast("B")
        for start in range(0, len(octets), PIECE_BYTES):
            self._archive.write(octets[start : start + PIECE_BYTES])
        return self._archive.take()

    def end(self) -> bytes:
        self._archive.close()
        return self._archive.take()

    def _unique(self, path: str) -> str:
        """``path`` where no other file is, in folders that are no files."""
        *folders, name = path.split("/")
        where = ""
        for folder in folders:
            where = f"{self._folder(where + folder)}/"
        found = self._free(where + name)
        self._files.add(found.casefold())
        return found

    def _folder(self, path: str) -> str:
        key = path.casefold()
        if key not in self._folders:
            found = path if key not in self._files else self._free(path)
            self._folders[key] = self._folders[found.casefold()] = found
        return self._folders[key]

    def _free(self, path: str) -> str:
        """``path``, with a number behind it if there is one already."""
        # Windows and macOS do not tell capital letters from others.
        key = path.casefold()
        stem, dot, extension = path.rpartition(".")
        if not stem or stem.endswith("/") or "/" in extension:
            stem, dot, extension = path, "", ""
        number = self._numbers.get(key, 1)
        found = path
        while found.casefold() in self._files or found.casefold() in self._folders:
            number += 1
            found = f"{stem} ({number}){dot}{extension}"
        self._numbers[key] = number
        return found


def _close(closable: Any) -> None:
    close = getattr(closable, "close", None)
    if close is not None:
        close()
