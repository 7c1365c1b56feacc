"""A file that the server sends by itself."""

import os

from streamkit.errors import SizeMismatch
from streamkit.resource import FileResource
from streamkit.stream.pipeline import Pipeline

__all__ = ["ServerFile"]


class ServerFile:
    """A binary file, read-only, that is counted and closed as the stream in whose place it is.

    It is of the size that was declared, whatever becomes of the file. How far it was read, or its
    position was set, says on ``close`` how much was sent. Of a server that asked for no more than
    the descriptor, it is taken that all was.
    """

    def __init__(self, resource: FileResource, pipeline: Pipeline) -> None:
        pipeline.open_for_server()
        pipeline.abandon_with(self)
        self._file = resource.file
        self._file.seek(0)
        self.tell = self._file.tell
        self._size = resource.size
        self._pipeline = pipeline
        self._furthest = 0
        self._is_shared = False

    def fileno(self) -> int:
        self._is_shared = True
        return self._file.fileno()

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
        self._pipeline.server_sent(self._size, "completed")

    def close(self) -> None:
        """The server sends no more. Idempotent.

        Raises SizeMismatch if it has sent all that there is, and that is less than was declared: a
        server then breaks the connection off.
        """
        if self._pipeline.over:
            return
        size = os.fstat(self._file.fileno()).st_size
        sent = max(self._furthest, self.tell())
        if not sent and self._is_shared:
            sent = size
        sent = min(self._size, sent)
        if sent == self._size:
            self._pipeline.server_sent(sent, "completed")
        elif sent < size:
            self._pipeline.server_sent(sent, "disconnected")
        else:
            error = self._mismatch(sent)
            self._pipeline.server_sent(sent, "failed", error)
            raise error

    def _mismatch(self, sent: int) -> SizeMismatch:
        return SizeMismatch(f"{self._size} bytes were to come, but the file ended after {sent}")
