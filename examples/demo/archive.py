"""A tar archive that is made while it streams, and whose size is known before."""

import tarfile
from collections.abc import Iterator
from pathlib import Path


class Archive:
    """The files at ``paths`` under ``root``: an iterable of bytes, ``size`` of them in all.

    A tar is a header and the file itself in whole blocks, again and again, so the sizes of the
    files give its own. Should one of them change on the way, the download is broken off.
    """

    def __init__(self, root: Path, paths: list[str]) -> None:
        self._root = root
        self._members = [_member(root, path) for path in paths]
        content = sum(len(_header(member)) + _whole(member.size) for member in self._members)
        end = 2 * tarfile.BLOCKSIZE
        self._end = bytes(end - (content + end) % -tarfile.RECORDSIZE)
        self.size = content + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for member in self._members:
            content = (self._root / member.name).read_bytes()
            yield _header(member)
            yield content.ljust(_whole(len(content)), b"\0")
        yield self._end


def _member(root: Path, path: str) -> tarfile.TarInfo:
    status = (root / path).stat()
    member = tarfile.TarInfo(path)
    member.size = status.st_size
    member.mtime = int(status.st_mtime)
    return member


def _header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.PAX_FORMAT)


def _whole(size: int) -> int:
    """``size`` rounded up to whole blocks."""
    return size - size % -tarfile.BLOCKSIZE
