"""What is counted, timed and logged of one stream."""

import logging
import time
from collections.abc import Sequence

from streamkit.kind import Kind
from streamkit.log import say, say_once
from streamkit.metrics import Outcome, StreamMetrics

__all__ = ["Record"]


class Record:
    """The figures of one stream, added to the metrics once a drain and not once an element."""

    def __init__(self, kind: Kind, name: str, tenant: str, metrics: StreamMetrics) -> None:
        self._label = (kind.name, name, tenant)
        self._live = kind.live
        self._has_begun = False
        self._metrics = metrics
        self._opened_at: float | None = None
        self._elements = 0
        self._dropped = 0
        self._bytes = 0
        self._bytes_added = 0

    @property
    def has_sent(self) -> bool:
        return self._bytes > 0

    def limit(self, max_streams: int) -> None:
        """So many streams may be open at a time where this one is asked for."""
        self._count("limited", max_streams)

    def reject(self) -> None:
        """It is not let in, and was not opened."""
        self._count("rejected")

    def open(self) -> None:
        self._count("opened")
        self._opened_at = time.monotonic()

    def chunk(self, chunk: bytes) -> None:
        """A chunk goes to the server. Of a live stream it may be a heartbeat before any element."""
        if not self._has_begun and (self._elements or not self._live):
            self._has_begun = True
            if self._opened_at is not None:
                self._count("first_byte", time.monotonic() - self._opened_at)
        self._bytes += len(chunk)

    def server_sent(self, size: int) -> None:
        """The server sent ``size`` bytes by itself."""
        self._bytes += size
        self.add(0, 0)

    def add(self, elements: int, dropped: int) -> None:
        """``elements`` and ``dropped``: how many there were since the start."""
        if elements > self._elements:
            self._count("added", elements - self._elements, dropped - self._dropped)
            self._elements, self._dropped = elements, dropped
        if self._bytes > self._bytes_added:
            self._count("sent", self._bytes - self._bytes_added)
            self._bytes_added = self._bytes

    def refuse(self, reasons: Sequence[ValueError]) -> None:
        self._count("refused", len(reasons))
        for reason in reasons:
            say(
                logging.WARNING,
                "%s stream %r (tenant %r) refused an element: %s",
                *self._label,
                reason,
            )

    def report_unheard(self, error: BaseException) -> None:
        """The source failed when there was no consumer left to raise ``error`` to."""
        say(
            logging.ERROR,
            "the source of %s stream %r (tenant %r) failed after its consumer had left",
            *self._label,
            error=error,
        )

    def close(self, outcome: Outcome, repaired: int = 0) -> None:
        """It is over, if it was opened.

        ``repaired``: how many elements held text that UTF-8 cannot carry.
        """
        if self._opened_at is None:
            return
        seconds = time.monotonic() - self._opened_at
        self._count("closed", outcome, seconds)
        say(
            logging.DEBUG,
            "%s stream %r (tenant %r) %s: %d elements, %d bytes, %.3f s%s",
            *self._label,
            outcome,
            self._elements,
            self._bytes,
            seconds,
            f", {repaired} with lone surrogates sent as U+FFFD" if repaired else "",
        )

    def _count(self, what: str, *figures: object) -> None:
        """Tell the metrics, of which no stream fails: a full disk, say, in multiprocess mode."""
        try:
            getattr(self._metrics, what)(*figures)
        except Exception as error:
            say_once(f"metrics cannot be counted: {error}", error)
