"""A file that the server sends by itself."""

import os
from collections.abc import Iterator
from typing import Any, Final, cast

from streamkit.errors import SizeMismatch
from streamkit.lost import lose
from streamkit.metrics import Outcome
from streamkit.once import Once
from streamkit.resource import FileResource
from streamkit.source import Source
from streamkit.stream.setting import Setting
from streamkit.stream.unread import close_unread

__all__ = ["BLOCK_BYTES", "FileStream", "ServerFile"]

BLOCK_BYTES: Final = 64 * 1024
"""Bytes that are read at a time for a server that iterates the file.

As many as a chunk has (``CHUNK_BYTES`` in streamkit/stream/batches.py, which says why).
"""


class FileStream:
    """The stream in whose place the file is: it is counted, and settles once."""

    def __init__(self, resource: FileResource, setting: Setting) -> None:
        """The file of ``resource`` is sent from its first byte on.

        Raises ValueError if it is closed by now.
        """
        resource.file.seek(0)
        self.resource = resource
        self._setting = setting
        self._is_first_to_end = Once()
        self._sent = 0
        self._outcome: Outcome = "disconnected"
        self._failure: BaseException | None = None
        self.is_over = False
        """Whether the server sends no more of it."""
        setting.open()

    def end(self, sent: int, outcome: Outcome, failure: BaseException | None = None) -> None:
        """The server has ``sent`` so many bytes, and sends no more. Idempotent."""
        if self._is_first_to_end():
            self.is_over = True
            self._sent, self._outcome, self._failure = sent, outcome, failure
            source = Source(cast("Any", self.resource))
            close_unread(source, self._setting.context, self._settle)

    def leave(self) -> None:
        """Nobody will send it. Idempotent, from any thread."""
        self.end(0, "disconnected")

    def _settle(self, error: BaseException | None) -> None:
        record, failure = self._setting.record, self._failure or error
        self._failure = None
        try:
            record.sent += self._sent
            record.close(self._outcome, failure=failure)
            if error is not None:
                record.report_unheard(error)
        finally:
            self._setting.context.run(self._setting.close, failure)


class ServerFile:
    """A binary file, read-only, that is counted and closed as the stream in whose place it is.

    It is of the size that was declared, whatever becomes of the file. How far it was read, or its
    position was set, says on ``close`` how much was sent. A server that asked for the descriptor
    and did neither is taken to have sent all. Iterating reads the file block by block.
    """

    def __init__(self, stream: FileStream, path: str | None) -> None:
        self._stream = stream
        resource = stream.resource
        self.path = path
        """The path where the file can be opened once more, for a server that sends paths."""
        self._file = resource.file
        self.tell = self._file.tell
        self._size = resource.size
        self._furthest = 0
        self._is_shared = False

    def __del__(self) -> None:
        if not self._stream.is_over:
            lose(self._stream.leave)

    def fileno(self) -> int:
        """The descriptor, for a server that has the kernel send the file (``sendfile``)."""
        self._is_shared = True
        return self._file.fileno()

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_BYTES):
            yield block

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, all that remain if that is negative, and ``b""`` at the end.

        Raises SizeMismatch where the file ends before the size that was declared.
        """
        remaining = max(0, self._size - self.tell())
        wanted = remaining if size < 0 else min(size, remaining)
        piece = self._file.read(wanted)
        if wanted and not piece:
            raise self._mismatch(self.tell())
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, from the declared end for ``SEEK_END``; return the new one."""
        if whence == os.SEEK_END:
            return self._file.seek(self._size + offset)
        position = self._file.seek(offset, whence)
        # socket.sendfile, by which gunicorn sends, sets the position to the end of what it sent.
        # gunicorn then sets that of the descriptor back to where it began.
        self._furthest = max(self._furthest, position)
        return position

    def was_sent(self) -> None:
        """All of it was handed to the server."""
        self._stream.end(self._size, "completed")

    def close(self) -> None:
        """The server sends no more. Idempotent.

        Raises SizeMismatch if it has sent all that there is, and that is less than was declared: a
        server then breaks the connection off.
        """
        if self._stream.is_over:
            return
        sent = min(self._size, max(self._furthest, self.tell()))
        if sent == self._size:
            self._stream.end(sent, "completed")
            return
        size = os.fstat(self._file.fileno()).st_size
        if not sent and self._is_shared:
            sent = min(self._size, size)
        if sent == self._size:
            self._stream.end(sent, "completed")
        elif sent < size:
            self._stream.end(sent, "disconnected")
        else:
            error = self._mismatch(sent)
            self._stream.end(sent, "failed", error)
            raise error

    def _mismatch(self, sent: int) -> SizeMismatch:
        return SizeMismatch(f"{self._size} bytes were to come, but the file ended after {sent}")
