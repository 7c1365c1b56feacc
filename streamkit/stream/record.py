"""What is counted, timed, traced and logged of one stream."""

import logging
import time
from collections.abc import Sequence
from contextvars import Context
from typing import Protocol

from streamkit.kind import Kind
from streamkit.log import say, say_once
from streamkit.metrics import Outcome, StreamMetrics
from streamkit.tracing import StreamSpan

__all__ = ["Counted", "Record"]


class Counted(Protocol):
    """Where the elements of a stream are counted, since its start."""

    dropped: int

    @property
    def offered(self) -> int: ...

    @property
    def away_since(self) -> float | None: ...


class Record:
    """The figures of one stream, plain numbers that the metrics ask for at a scrape."""

    __slots__ = (
        "_bytes_told",
        "_counted",
        "_dropped_told",
        "_elements_told",
        "_has_first_byte",
        "_kind",
        "_metrics",
        "_name",
        "_opened_at",
        "_span",
        "_tenant",
        "is_told",
        "sent",
    )

    def __init__(
        self, kind: Kind, name: str, tenant: str, metrics: StreamMetrics, span: StreamSpan
    ) -> None:
        self._kind = kind
        self._name = name
        self._tenant = tenant
        self._metrics = metrics
        self._span = span
        self._has_first_byte = False
        self._opened_at: float | None = None
        self._counted: Counted | None = None
        self.sent = 0
        """Bytes that went to the server. Whoever adds to them calls ``tell`` if ``is_told``.

        So each chunk costs no call of this, most of the time.
        """
        self.is_told = True
        # What was reported to the metrics of each.
        self._elements_told = self._dropped_told = self._bytes_told = 0

    @property
    def has_sent(self) -> bool:
        return self.sent > 0

    def limit(self, max_streams: int) -> None:
        """So many streams may be open at a time where this one is asked for."""
        self._count("limited", max_streams)

    def reject(self) -> None:
        """It is not let in, and was not opened."""
        self._count("rejected")

    def open(self, *contexts: Context, counted: Counted | None = None) -> None:
        """It begins: its code runs in ``contexts``, and what its source gives is ``counted``."""
        self._counted = counted
        self._span.start(*contexts)
        self._count("opened")
        self._count("watch", self)
        self._opened_at = time.monotonic()

    def tell(self) -> None:
        """A chunk went to the server."""
        tell = self._metrics.tell
        if not self._has_first_byte:
            # A chunk of a live stream may be a heartbeat before any element.
            if self._kind.live and not (self._counted and self._counted.offered):
                return
            self._has_first_byte = True
            self.is_told = tell is not None
            if self._opened_at is not None:
                self._count("first_byte", time.monotonic() - self._opened_at)
        if tell is not None:
            tell()

    def report(self) -> bool:
        """Tell the metrics what there was since the last time. By one thread at a time.

        True if elements may be dropped, or wait, while no chunk goes to the server.
        """
        counted = self._counted
        if counted is not None and (elements := counted.offered) > self._elements_told:
            dropped = counted.dropped
            self._count("added", elements - self._elements_told, dropped - self._dropped_told)
            self._elements_told, self._dropped_told = elements, dropped
        if (sent := self.sent) > self._bytes_told:
            self._count("sent", sent - self._bytes_told)
            self._bytes_told = sent
        return counted is not None and counted.away_since is not None

    def refuse(self, reasons: Sequence[ValueError]) -> None:
        self._count("refused", len(reasons))
        for reason in reasons:
            say(
                logging.WARNING,
                "%s stream %r (tenant %r) refused an element: %s",
                *self._label(),
                reason,
            )

    def report_unheard(self, error: BaseException) -> None:
        """The source failed when there was no consumer left to raise ``error`` to."""
        say(
            logging.ERROR,
            "the source of %s stream %r (tenant %r) failed after its consumer had left",
            *self._label(),
            error=error,
        )

    def close(
        self, outcome: Outcome, repaired: int = 0, failure: BaseException | None = None
    ) -> None:
        """It is over, if it was opened.

        ``repaired``: how many elements held text that UTF-8 cannot carry. ``failure``: what the
        stream failed with.
        """
        if self._opened_at is None:
            return
        seconds = time.monotonic() - self._opened_at
        self._count("unwatch", self)
        self._counted = None
        self._count("closed", outcome, seconds)
        figures = {
            "elements": self._elements_told,
            "dropped": self._dropped_told,
            "bytes": self.sent,
        }
        self._span.end(outcome, figures, failure)
        say(
            logging.DEBUG,
            "%s stream %r (tenant %r) %s: %d elements, %d bytes, %.3f s%s",
            *self._label(),
            outcome,
            self._elements_told,
            self.sent,
            seconds,
            f", {repaired} with lone surrogates sent as U+FFFD" if repaired else "",
        )

    def _label(self) -> tuple[str, str, str]:
        return self._kind.name, self._name, self._tenant

    def _count(self, what: str, *figures: object) -> None:
        """Tell the metrics, of which no stream fails: a full disk, say, in multiprocess mode."""
        try:
            getattr(self._metrics, what)(*figures)
        except Exception as error:
            say_once(f"metrics cannot be counted: {error}", error)
