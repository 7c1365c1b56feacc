"""The history of one channel in this process: its latest events, as they are sent."""

from typing import Final

from streamkit.channels.frame import Frame
from streamkit.channels.position import Position

__all__ = ["LATEST", "Anteroom", "Ring"]

MAX_EVENTS: Final = 1000
MAX_BYTES: Final = 4 * 1024 * 1024
MIN_EVENTS: Final = 16
"""A history holds so many events, and so many bytes, if they are more than ``MIN_EVENTS``.

Judgements: 1,000 events are what a client missed at one event a second while it changed trains, and
four MiB what one stream may hold back as well. Sixteen of the largest events are those four MiB.
"""

LATEST: Final = 64
"""How many of the latest events a client gets that has missed some before.

As many as wait for a slow client of any other event stream (``streamkit.kind.SSE``).
"""

MAX_PIECE: Final = 64 * 1024
"""Bytes up to which events are joined: as many as go into one chunk."""

SLOT_BYTES: Final = 256
"""What an event takes in a ring beside its own bytes: objects, and a place in a table."""

RING_BYTES: Final = 1024
"""What a ring takes without events."""


class Ring:
    """Events by their numbers. One thread at a time appends, any number of them read.

    There is no lock: an entry never changes, and what a reader looks for is there or is not.

    A handler of a signal, or a finalizer, may append in the middle of an ``append`` of its own
    thread, which no lock could prevent. Python runs them as a function begins or returns, and
    between the rounds of a loop: what stands between two calls is done as one.
    """

    __slots__ = (
        "_joined",
        "_prefix",
        "entries",
        "epoch",
        "first",
        "head",
        "own_retry",
        "size",
        "successor",
        "weight",
    )

    def __init__(self, epoch: int, head: int = 0) -> None:
        self.epoch = epoch
        self._prefix = f"{epoch}-"
        self.head = head
        """The number of the latest event."""
        self.first = head + 1
        """The number of the oldest event that is here, or of the next one if there is none."""
        self.size = 0
        """Bytes of all events, as they are sent."""
        self.weight = RING_BYTES
        """Bytes that it takes of this process's memory, about."""
        self.own_retry = 0
        """The number of the latest event that tells its readers when to come back, or reads so."""
        self.successor: Ring | None = None
        """The history that took the place of this one, if any: see ``give_way``."""
        self.entries: dict[int, tuple[bytes, bool]] = {}
        """Each event by its number: as it is sent, and whether its data is text."""
        # What was last joined of several events, for the others who are at the same place: the
        # number before it, its own last one, and the head by then.
        self._joined = (-1, -1, -1, b"")

    @property
    def position(self) -> Position:
        """Behind the latest event."""
        return Position(self.epoch, self.head)

    def append(self, frame: Frame) -> str:
        """Keep an event, and let go of the oldest; return the id of the event."""
        lines, is_text = frame
        is_retry = b"retry: " in lines
        number = self.head
        while True:
            number += 1
            event_id = f"{self._prefix}{number}"
            wire = b"%bid: %b\n\n" % (lines, event_id.encode())
            entry = (wire, is_text)
            if is_retry:
                self.own_retry = number
            # The number is taken in one step with the entry: two that interrupt each other differ.
            if self.entries.setdefault(number, entry) is entry:
                break
        size = len(wire)
        self.size += size
        self.weight += size + SLOT_BYTES
        # Also over what was interrupted before it came to this.
        while (following := self.head + 1) in self.entries:
            self.head = following
        while self.head - self.first >= MAX_EVENTS or (
            self.size > MAX_BYTES and self.head - self.first >= MIN_EVENTS
        ):
            self.drop_oldest()
        return event_id

    def drop_oldest(self) -> None:
        """Let go of an event; there is one. Called by who appends."""
        # The number first: who finds it here may count on the entry, or sees that it has gone.
        number = self.first
        self.first = number + 1
        wire, _ = self.entries.pop(number)
        size = len(wire)
        self.size -= size
        self.weight -= size + SLOT_BYTES

    def skip_to(self, head: int) -> None:
        """Go on behind this number: what is before it is not to be had. Called by who appends."""
        self.entries = {}
        self.size, self.weight = 0, RING_BYTES
        # In this order: who is at the head until now is not to look for what is next.
        self.first = head + 1
        self.head = head

    def give_way(self, successor: "Ring") -> None:
        """Let all who are here go on in ``successor``. Called by who appends, who appends no more.

        To do so they need not be looked at, nor look for it: they find that they are not at the
        head any more, and that what comes next is not here.
        """
        self.successor = successor
        self.entries = {}
        self.first = self.head + 2
        self.head += 1

    def holds(self, number: int) -> bool:
        """Whether all events after this one are here."""
        return self.first - 1 <= number <= self.head

    def read(self, number: int) -> tuple[bytes, int]:
        """The next events after this one, up to 64 KiB or one event, and the number of the last.

        The same bytes for all who are at the same place. There is at least one after it; raises
        KeyError if that is no longer here.
        """
        wire, _ = self.entries[number + 1]
        head = self.head
        if number + 1 == head:
            return wire, head
        before, last, head_then, joined = self._joined
        if before == number and head_then == head:
            return joined, last
        pieces, size, last = [wire], len(wire), number + 1
        while last < head:
            following = self.entries.get(last + 1)
            if following is None or size + len(following[0]) > MAX_PIECE:
                break
            pieces.append(following[0])
            size += len(following[0])
            last += 1
        joined = b"".join(pieces)
        self._joined = (number, last, head, joined)
        return joined, last

    def frame(self, number: int) -> Frame:
        """The event of this number. Raises KeyError if it is no longer here, or not yet."""
        wire, is_text = self.entries[number]
        return wire[: wire.rindex(b"id: ")], is_text


class Anteroom(Ring):
    """Where those wait whose history is yet to be looked for. It has no events, and no position."""

    __slots__ = ("beginning", "publishing")

    def __init__(self) -> None:
        super().__init__(0)
        self.weight = 0
        self.beginning: Position | None = None
        """Where those begin who came without a position, once that is known."""
        self.publishing = 0
        """How many events of this process's own are on their way, and may be where those begin."""

    def give_way(self, successor: Ring) -> None:
        # Now, as those who wait here may look for it much later.
        if self.beginning is None:
            self.beginning = successor.position
        super().give_way(successor)
