"""A file that the server sends by itself."""

import os
from collections.abc import Iterator
from typing import Final

from streamkit.errors import SizeMismatch
from streamkit.metrics import Outcome
from streamkit.resource import FileResource
from streamkit.stream.lost import lose
from streamkit.stream.once import Once
from streamkit.stream.setting import Setting

__all__ = ["BLOCK_BYTES", "FileStream", "ServerFile"]

BLOCK_BYTES: Final = 64 * 1024
"""What is read at a time for a server that does not send the file by itself."""


class FileStream:
    """The stream in whose place the file is: it is counted, and ends once."""

    def __init__(self, resource: FileResource, setting: Setting) -> None:
        self.resource = resource
        self._setting = setting
        self._ends = Once()
        self.is_over = False
        setting.record.open()

    def end(self, size: int, outcome: Outcome, failure: BaseException | None = None) -> None:
        """The server has sent ``size`` bytes, and sends no more. Idempotent."""
        if not self._ends():
            return
        self.is_over = True
        record = self._setting.record
        try:
            self.resource.close()
            record.server_sent(size)
            record.close(outcome)
        finally:
            self._setting.context.run(self._setting.close, failure)

    def abandon(self) -> None:
        """Nobody will send it. Idempotent, from any thread."""
        self.end(0, "disconnected")


class ServerFile:
    """A binary file, read-only, that is counted and closed as the stream in whose place it is.

    It is of the size that was declared, whatever becomes of the file. How far it was read, or its
    position was set, says on ``close`` how much was sent. Of a server that asked for no more than
    the descriptor, it is taken that all was. Iterating reads it block by block.
    """

    def __init__(self, stream: FileStream) -> None:
        resource = stream.resource
        self.path = resource.path
        """Where the file can be opened once more, if that is known."""
        self._file = resource.file
        self._file.seek(0)
        self.tell = self._file.tell
        self._size = resource.size
        self._stream = stream
        self._furthest = 0
        self._is_shared = False

    def __del__(self) -> None:
        if not self._stream.is_over:
            lose(self._stream.abandon)

    def fileno(self) -> int:
        self._is_shared = True
        return self._file.fileno()

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_BYTES):
            yield block

    def read(self, size: int = -1) -> bytes:
        """Raises SizeMismatch where the file ends too early."""
        left = max(0, self._size - self.tell())
        wanted = left if size < 0 else min(size, left)
        piece = self._file.read(wanted)
        if wanted and not piece:
            raise self._mismatch(self.tell())
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self._size + offset)
        position = self._file.seek(offset, whence)
        # gunicorn does so after it has sent the file, and then goes back to where it began.
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
        size = os.fstat(self._file.fileno()).st_size
        sent = max(self._furthest, self.tell())
        if not sent and self._is_shared:
            sent = size
        sent = min(self._size, sent)
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
