"""One answer within this process: all of it so far, how it ended, and who follows it."""

import time
from collections.abc import Sequence
from enum import Enum
from typing import Final

from streamkit.channels.gathering import Gathering
from streamkit.channels.hubs import lock
from streamkit.resumable.entry import wire

__all__ = ["MAX_BYTES", "Ending", "Log", "Name", "lock"]

MAX_BYTES: Final = 16 * 1024 * 1024
"""What an answer may have in all: four million words, and a hundred times what a model says in one.
"""

Name = tuple[str, str]
"""The name of a ``Resumable``, and a key in it."""


class Ending(Enum):
    """How an answer ended: it stands in its log."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Log(Gathering):
    """Entries by their order, and none is ever dropped: who follows is at a place among them.

    Until it has begun there is nothing in it: it may yet be looked for, or be nowhere. Any thread
    may read it. It is changed with the ``lock`` held, which is that of channels, but for ``wake``.
    """

    __slots__ = (
        "asked",
        "ended_at",
        "ending",
        "entries",
        "epoch",
        "error",
        "is_claimed",
        "name",
        "size",
        "unknown_for",
    )

    def __init__(self, name: Name) -> None:
        super().__init__()
        self.name = name
        self.epoch = 0
        """Which log of this name it is; 0 until it has begun."""
        self.entries: list[tuple[bytes, int]] = []
        """Each as it is sent, and how many events that is."""
        self.size = 0
        """Bytes of all events, without their ids."""
        self.ending: Ending | None = None
        """How it ended. Look *before* the entries: there are no more then."""
        self.ended_at = 0.0
        self.error: BaseException | None = None
        """Why it is not known whether there is such a log."""
        self.is_claimed = False
        """Whether is being asked if it is to be made here. The answer comes first, then this."""
        self.asked = 0
        """How often was asked for it."""
        self.unknown_for = 0
        """To the last of how many of those it was nowhere."""

    @property
    def is_running(self) -> bool:
        """Whether there is more to come."""
        return self.epoch > 0 and self.ending is None

    def is_unknown_to(self, asked: int) -> bool:
        """Whether there is none, to who asked by this number. One it is claimed for is yet to be.

        To who has no number, but claimed it, that is what everyone was told who asked.
        """
        if self.is_claimed or self.epoch:
            return False
        return 0 < (asked or self.asked) <= self.unknown_for

    def begin(self, epoch: int) -> None:
        """It is there, without entries so far."""
        self.epoch = epoch

    def append(self, blocks: Sequence[bytes]) -> None:
        """Add an entry, which has events."""
        sent = wire(blocks, self.epoch, len(self.entries) + 1)
        events = len(blocks)
        self.size += len(blocks[0]) if events == 1 else sum(map(len, blocks))
        self.entries.append((sent, events))

    def end(self, ending: Ending) -> None:
        """Nothing more will come."""
        self.ended_at = time.monotonic()
        self.ending = ending

    def fail(self, error: BaseException) -> None:
        """It is not to be had."""
        self.error = error
