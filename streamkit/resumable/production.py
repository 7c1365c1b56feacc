"""What makes an answer: its source, read by a pump as any, and written to its log."""

import logging
import time
from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextvars import Context
from typing import Final

from streamkit.errors import NothingMore
from streamkit.feed import Hold
from streamkit.kind import LOSSLESS
from streamkit.log import say
from streamkit.loop import running_loop
from streamkit.once import Once
from streamkit.resumable.entry import Blocks
from streamkit.resumable.log import MAX_BYTES, Ending, Log
from streamkit.resumable.metrics import resumable_metrics
from streamkit.source import Source
from streamkit.stream.background import background_loop
from streamkit.stream.buffer import Buffer
from streamkit.stream.pump import Pump, TaskPump, ThreadPump
from streamkit.stream.unread import close_unread
from streamkit.wake import Wake

__all__ = ["Production", "Writer", "WriterOf"]


class Writer(ABC):
    """Writes what a production has to its log, and the end."""

    wake: Wake
    """Is notified when there is something to be written, or nothing more."""

    @abstractmethod
    def begin(self) -> None:
        """The source is about to be read. Raises RuntimeError if there is no thread to be had."""


WriterOf = Callable[["Production", AbstractEventLoop | None], Writer]
"""Makes the writer of a production whose source is read on this loop, or on a thread."""

TOO_LARGE: Final = f"an answer has no more than {MAX_BYTES // 1024**2} MiB"


class Production:
    """Reads a source to its end, whoever follows, under a copy of the caller's context.

    Where it is read it is also closed, once: on a task of ``loop``, on the background loop, or on a
    thread. Either ``start`` is called or ``discard``, once.
    """

    log: Log
    """What it writes to, once it is started."""
    buffer: Buffer
    """Where the elements are that were not written yet."""
    token: bytes = b""
    """What says, where it is kept, that this one may write."""

    def __init__(
        self, source: Source, context: Context, hold: Hold, loop: AbstractEventLoop | None
    ) -> None:
        self._source = source
        # The stream that starts it may be in its own at the same time.
        self._context = context.copy()
        self._hold = hold
        self._loop = loop
        self._pump: Pump[Buffer] | None = None
        self._blocks = Blocks()
        self._is_counted = Once()
        self._is_to_close = Once()
        self._events = 0
        self.ending: Ending | None = None
        """How it ends, by what is known here; None as long as it goes on.

        Look before what is ready is taken: there is no more behind it.
        """
        self._is_ended = False
        self.cut_to: Ending | None = None
        """How another has ended it."""
        self.is_failing = False
        """Whether it is not to go on, whatever the source still has."""

    def discard(self) -> None:
        """There is an answer already: close the source unread."""
        close_unread(self._source, self._context, _say_unread, self._loop)

    def start(self, log: Log, writer_of: WriterOf) -> None:
        """Begin to read for ``log``.

        Raises RuntimeError or OSError if there is no thread or no loop to be had: then the source
        is closed unread.
        """
        self.log = log
        self._metrics = resumable_metrics(log.name[0])
        self._began_at = time.monotonic()
        loop = self._loop
        try:
            pump: Pump[Buffer]
            if self._source.reads_async(on_loop=loop is not None):
                loop = loop or background_loop()
                writer = writer_of(self, loop)
                pump = TaskPump(self._source, LOSSLESS, self._context, writer.wake, loop)
            else:
                writer = writer_of(self, None)
                pump = ThreadPump(self._source, LOSSLESS, self._context, writer.wake)
        except BaseException:
            self.discard()
            raise
        self._pump, self.buffer = pump, pump.buffer
        self._let_go = self._hold()
        self._metrics.running(1)
        try:
            writer.begin()
            pump.start(self._close)
        except BaseException as error:
            # First, or its writer would find a source that is closed and has not failed.
            self.fail(error)
            if pump.claim_source():
                close_unread(self._source, self._context, self._close, loop)
            raise

    @property
    def is_orphaned(self) -> bool:
        """Whether the loop that its source is read on was closed without cancelling its tasks."""
        pump = self._pump
        return pump is not None and pump.loop is not None and pump.loop.is_closed()

    @property
    def is_closing(self) -> bool:
        """Whether its source is yet to be closed, and what would close it has not gone."""
        pump = self._pump
        return pump is not None and (pump.loop is None or pump.loop.is_running())

    def take(self) -> list[bytes]:
        """The blocks of all that is ready. It may turn out here that it ``is_failing``."""
        batch = self.buffer.drain()
        if not batch:
            return []
        blocks = self._blocks.of(batch)
        if self._blocks.refused:
            self._report_refused()
        size = self.log.size + sum(map(len, blocks)) + len(self._blocks.ahead)
        if size > MAX_BYTES:
            if not self.is_failing:
                self.fail(ValueError(TOO_LARGE))
            while size > MAX_BYTES and blocks:
                size -= len(blocks.pop())
        self._events += len(blocks)
        return blocks

    def _report_refused(self) -> None:
        refused = self._blocks.refused
        self._metrics.refused(len(refused))
        for reason in refused:
            say(logging.WARNING, "%s refused an element: %s", self, reason)
        refused.clear()

    def fail(self, error: BaseException) -> None:
        """It is not to go on, and ``error`` says why: to be ended by whoever writes it."""
        self.is_failing = True
        self.ending = Ending.FAILED
        say(logging.ERROR, "%s is given up: %s", self, error)

    def end(self, ending: Ending) -> None:
        """The end stands in its log. The source is closed as soon as it can. From any thread."""
        self._is_ended = True
        self._close_soon()
        if not self._is_counted():
            return
        self._metrics.ended(ending.value, self._events)
        say(
            logging.DEBUG,
            "%s %s: %d events, %d bytes, %.3f s",
            self,
            ending.value,
            self._events,
            self.log.size,
            time.monotonic() - self._began_at,
        )

    def cut(self, ending: Ending) -> None:
        """Another has ended it: its writer is to come to that. From any thread."""
        self.cut_to = ending
        self._is_ended = True
        self._close_soon()

    def _close_soon(self) -> None:
        # Once it is closed, and where it could not be started, there is none.
        pump = self._pump
        if pump is not None:
            self.buffer.abandon()
            if self.is_orphaned:
                # Its source cannot be closed, as nothing of it can run any more.
                self._close(RuntimeError("its event loop was closed in the midst of it"))
            elif pump.loop is not None and running_loop() is pump.loop:
                # This may be the very task that reads, which is not to be cancelled as it closes
                # the source: by then it waits, or has come to that.
                pump.loop.call_soon(pump.stop)
            else:
                pump.stop()

    def _close(self, error: BaseException | None) -> None:
        """The source is closed, or cannot be any more."""
        # Two may find out at once that its loop was closed.
        if not self._is_to_close():
            return
        # It leads to the source, which may be large, and the log of what was made is kept.
        self._pump = None
        if error is not None and not isinstance(error, NothingMore):
            say(logging.ERROR, "the source of %s has failed", self, error=error)
        is_whole = self._is_ended or error is None or isinstance(error, NothingMore)
        if not self.is_failing:
            self.ending = Ending.DONE if is_whole else Ending.FAILED
        try:
            self._metrics.running(-1)
            self.buffer.end()
        finally:
            self._let_go(error)

    def __str__(self) -> str:
        name, key = self.log.name
        return f"resumable {name!r}, {key!r}"


def _say_unread(error: BaseException | None) -> None:
    if error is not None:
        say(
            logging.ERROR,
            "a source failed as it was closed unread, since its answer was there already",
            error=error,
        )
