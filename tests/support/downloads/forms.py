"""The forms that a source may have."""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from downloads.table import DATA

__all__ = ["ONCE", "REOPENABLE", "Form", "Function"]

PIECE = 999


@dataclass(frozen=True)
class Form:
    name: str
    make: Callable[[Path], Any]
    """It of ``DATA``; the path is that of a folder."""
    size: int | None = None
    """What must be said of it."""

    def __str__(self) -> str:
        return self.name


def pieces(start: int, stop: int) -> Iterator[bytes]:
    for offset in range(start, stop, PIECE):
        yield DATA[offset : min(offset + PIECE, stop)]


async def async_pieces(start: int, stop: int) -> AsyncIterator[bytes]:
    for piece in pieces(start, stop):
        yield piece


class Function:
    """A re-openable source that knows what was asked of it."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int]] = []
        self.closed = 0

    def __call__(self, start: int, stop: int) -> Iterator[bytes]:
        self.opened.append((start, stop))
        return self._read(start, stop)

    def _read(self, start: int, stop: int) -> Iterator[bytes]:
        try:
            yield from pieces(start, stop)
        finally:
            self.closed += 1


class AsyncFunction:
    async def __call__(self, start: int, stop: int) -> AsyncIterator[bytes]:
        async for piece in async_pieces(start, stop):
            yield piece


def path(folder: Path) -> Path:
    path = folder / "data"
    path.write_bytes(DATA)
    return path


def buffered(folder: Path) -> io.BufferedReader:
    return path(folder).open("rb")


def begun(folder: Path) -> io.BufferedReader:
    """One that stands at its beginning, and has read on already."""
    file = buffered(folder)
    file.read(1)
    file.seek(0)
    return file


def continued(folder: Path) -> io.BufferedReader:
    """One that stands behind something else."""
    path = folder / "data"
    path.write_bytes(b"something else" + DATA)
    file = path.open("rb")
    file.seek(len(b"something else"))
    return file


REOPENABLE = [
    Form("path", path),
    Form("str", lambda folder: str(path(folder))),
    Form("open file", buffered),
    Form("raw file", lambda folder: io.FileIO(path(folder))),
    Form("begun file", begun),
    Form("continued file", continued),
    Form("BytesIO", lambda _: io.BytesIO(DATA)),
    Form("bytes", lambda _: DATA),
    Form("bytearray", lambda _: bytearray(DATA)),
    Form("memoryview", lambda _: memoryview(DATA)),
    Form("function", lambda _: pieces, len(DATA)),
    Form("callable", lambda _: Function(), len(DATA)),
    Form("async function", lambda _: async_pieces, len(DATA)),
    Form("async partial", lambda _: partial(async_pieces), len(DATA)),
    Form("async callable", lambda _: AsyncFunction(), len(DATA)),
]

# Those that can be read from their beginning only.
ONCE = [
    Form("iterator", lambda _: pieces(0, len(DATA)), len(DATA)),
    Form("list", lambda _: [*pieces(0, len(DATA))], len(DATA)),
    Form("async iterator", lambda _: async_pieces(0, len(DATA)), len(DATA)),
]
