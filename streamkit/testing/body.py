"""What has arrived of a response, for each way of reading it."""

from collections import deque
from typing import Any, Final

from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from streamkit.testing.row_decoder import ROW_FORMATS, RowDecoder
from streamkit.testing.sse_decoder import Event, SSEDecoder

__all__ = ["Body"]

SHOWN_BYTES: Final = 300
"""Bytes at the end of what arrived that an error shows. A judgement: some four lines of text."""


class Body:
    """A queue for each way of reading: what one has passed over is still there for another."""

    def __init__(self, status: int, headers: Headers) -> None:
        self.chunks: deque[bytes] = deque()
        self.events: deque[Event] = deque()
        self.comments: deque[str] = deque()
        """All comments but the heartbeats, which come when they please and are counted."""
        self.heartbeats = 0
        self.rows: deque[Any] = deque()
        media_type = parse_options_header(headers.get("Content-Type"))[0].lower()
        coding = headers.get("Content-Encoding")
        if coding:
            media_type = f"{media_type} ({coding})"
        self._head = f"{status} {media_type or 'without a content type'}"
        self._arrived = b""
        self._size = 0
        self._sse = SSEDecoder() if media_type == "text/event-stream" else None
        self._rows = RowDecoder(media_type) if media_type in ROW_FORMATS else None

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._arrived = (self._arrived + chunk)[-SHOWN_BYTES:]
        self.chunks.append(chunk)
        if self._rows is not None:
            self.rows.extend(self._rows.feed(chunk))
        if self._sse is not None:
            self.events.extend(self._sse.feed(chunk))
            for comment in self._sse.comments:
                if comment == "heartbeat":
                    self.heartbeats += 1
                else:
                    self.comments.append(comment)
            self._sse.comments.clear()

    def rest(self) -> bytes:
        """All chunks that were not read as such."""
        rest = b"".join(self.chunks)
        self.chunks.clear()
        return rest

    def expect_sse(self) -> None:
        """Raises AssertionError if it has no events and comments."""
        if self._sse is None:
            raise AssertionError(
                f"events and comments are read from text/event-stream: this is {self}"
            )

    def expect_rows(self) -> None:
        """Raises AssertionError if it has no rows."""
        if self._rows is None:
            raise AssertionError(f"rows are read from {', '.join(ROW_FORMATS)}: this is {self}")

    def __str__(self) -> str:
        if not self._size:
            return f"{self._head}, of which nothing has arrived"
        cut = "..." if self._size > SHOWN_BYTES else ""
        return f"{self._head}, of which {self._size} bytes have arrived: {cut}{self._arrived!r}"
