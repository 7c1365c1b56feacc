"""What the stream of one client takes its batches from: a place in a log."""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any

from streamkit.channels.audience import LoopWaiter, ThreadWaiter
from streamkit.errors import NothingMore, SourceFailed
from streamkit.feed import Hold, Notified
from streamkit.resumable.entry import after, error_event, place_from
from streamkit.resumable.keeper import Keeper
from streamkit.resumable.log import Ending, Name
from streamkit.resumable.production import Production
from streamkit.source import Source

__all__ = ["Follower"]

MAX_PIECE = 64 * 1024
"""Bytes up to which entries are joined: as many as go into one chunk."""


class Follower:
    """The consumer's side of a buffer that nobody fills, and that drops nothing.

    What it drains are pieces of a ``text/event-stream``.
    """

    __slots__ = (
        "_abandoned",
        "_asked",
        "_is_placed",
        "_keeper",
        "_last_event_id",
        "_log",
        "_loop",
        "_number",
        "_skips",
        "_starts",
        "_waiter",
        "away_since",
        "dropped",
        "ended",
        "error",
        "offered",
        "readable",
        "wait",
    )

    def __init__(
        self,
        keeper: Keeper,
        name: Name,
        last_event_id: str | None,
        loop: AbstractEventLoop | None,
        *,
        starts: bool,
    ) -> None:
        """One that ``starts`` begins the answer if there is none of this name."""
        self._keeper = keeper
        self._last_event_id = last_event_id
        self._loop = loop
        self._starts = starts
        self._log, audience = keeper.join(name, loop)
        self._asked = 0
        # Entries that were read, and events of the next one that its client has already.
        self._number = self._skips = 0
        self._is_placed = False
        self._abandoned = False
        self.away_since: float | None = None
        self.ended = False
        self.error: BaseException | None = None
        self.offered = 0
        self.dropped = 0
        audiences: list[Any] = [audience]
        self._waiter: ThreadWaiter | LoopWaiter
        self.wait: Any
        if loop is None:
            self._waiter = ThreadWaiter(audiences)
            self.wait = self._waiter.wait
        else:
            self._waiter = LoopWaiter(loop, audiences)
            self.wait = self._waiter.waiter
        self.readable: Notified = self._waiter

    def begin(self, source: Source, context: Context, hold: Hold) -> None:
        production = Production(source, context, hold, self._loop)
        if self._starts:
            self._keeper.start(self._log, production, self._loop)
        else:
            production.discard()
            self._asked = self._keeper.look(self._log)

    def readable_now(self) -> bool:
        if self.ended or self._abandoned:
            return True
        log = self._log
        if not self._is_placed and not self._place():
            return log.error is not None or log.is_unknown_to(self._asked)
        # The ending last: what it comes after is looked for before it is believed.
        return self._number < len(log.entries) or log.ending is not None

    def drain(self) -> list[bytes]:
        """Take what is ready, up to 64 KiB or so."""
        self.away_since = None
        pieces: list[bytes] = []
        if self._abandoned or self.ended:
            return pieces
        log = self._log
        if not self._is_placed and not self._place():
            if log.error is not None:
                self.end(log.error)
            elif log.is_unknown_to(self._asked):
                self.end(NothingMore())
            return pieces
        # Before the entries, as there are no more behind it.
        ending = log.ending
        size = 0
        while self._number < len(log.entries) and size < MAX_PIECE:
            piece, events = log.entries[self._number]
            self._number += 1
            if self._skips:
                piece, events = after(piece, self._skips), max(0, events - self._skips)
                self._skips = 0
            if piece:
                pieces.append(piece)
                self.offered += events
                size += len(piece)
        if ending is not None and self._number >= len(log.entries):
            self._reach(ending, pieces)
        elif not pieces:
            # A heartbeat is due, which otherwise would be all that ever comes.
            self._keeper.look_after(log)
        return pieces

    def take_latest(self, told: int, encode: Callable[[Any], bytes]) -> bytes | None:
        log, number = self._log, self._number
        if self._skips or not self._is_placed or self._abandoned or log.ending is not None:
            return None
        if number + 1 != len(log.entries):
            return None
        piece, events = log.entries[number]
        self._number = number + 1
        self.offered += events
        self.away_since = monotonic()
        return piece

    def abandon(self) -> None:
        if not self._abandoned:
            self._abandoned = True
            self.readable.notify()
            self._waiter.leave()
            self._keeper.leave(self._log, self._loop)

    def end(self, error: BaseException | None = None) -> None:
        self.error = error
        self.ended = True
        self.readable.notify()

    def _place(self) -> bool:
        """Whether it is known by now where it begins."""
        log = self._log
        if not log.epoch:
            return False
        place = place_from(self._last_event_id)
        if place is not None and place.epoch == log.epoch:
            # It may be ahead of what this process has heard of so far.
            self._number, self._skips = place.number - 1, place.event
        self._is_placed = True
        return True

    def _reach(self, ending: Ending, pieces: list[bytes]) -> None:
        """The end of the log."""
        log = self._log
        is_told = self._number > len(log.entries) or bool(self._skips)
        if ending in (Ending.FAILED, Ending.INTERRUPTED) and not is_told:
            pieces.append(error_event(ending.value, log.epoch, len(log.entries) + 1))
            self.offered += 1
            self._skips = 1
            self.end(SourceFailed(_FAILED) if ending is Ending.FAILED else None)
        elif self.offered:
            self.end()
        else:
            self.end(NothingMore())


_FAILED = (
    "the source of a resumable answer has failed: why is in the log of the process that it ran in"
)
