"""Where one subscriber is in a ring, and what it has missed."""

from errno import ECONNRESET
from typing import Final, NamedTuple

from streamkit.channels.frame import Frame
from streamkit.channels.position import NOWHERE, Position
from streamkit.channels.ring import LATEST, Anteroom, Ring
from streamkit.errors import FellBehind

__all__ = ["Cursor", "Gap"]

_ELSEWHERE: Final = -1
"""The number of who comes with a position that this ring never gave."""


class Gap(NamedTuple):
    """What cannot be replayed, and ends behind the event of ``position``."""

    missed: int | None
    """How many events; None if nobody knows."""
    position: Position
    was_connected: bool
    """Whether it came about while the subscriber was there, and not before it came."""


class Cursor:
    """Behind the last event of a ring that its subscriber has had."""

    __slots__ = ("_after", "_has_begun", "_is_lossless", "has_caught_up", "number", "ring")

    def __init__(self, ring: Ring, after: Position | None, *, is_lossless: bool = False) -> None:
        """``after`` is where the subscriber was when it left; None lets it begin now.

        It is a position of this ring's, or any other that a client may send.
        """
        self._is_lossless = is_lossless
        self._after = after
        self._enter(ring)

    def _enter(self, ring: Ring) -> None:
        after = self._after
        self.ring = ring
        self.number = ring.head
        if after is not None and ring.epoch:
            is_ours = after.epoch == ring.epoch and after.number <= ring.head
            self.number = after.number if is_ours else _ELSEWHERE
        self._has_begun = self.has_caught_up = self.number == ring.head

    @property
    def position(self) -> Position:
        """Where its subscriber is to go on, should it leave now."""
        if not self.ring.epoch:
            return self._after or NOWHERE
        return NOWHERE if self.number == _ELSEWHERE else Position(self.ring.epoch, self.number)

    def place(self) -> bool:
        """Whether it is known by now where it begins: not as long as that is looked for."""
        ring = self.ring
        if not ring.epoch and ring.successor is not None:
            self._go_on(ring, ring.successor)
        return bool(self.ring.epoch)

    @property
    def is_at_head(self) -> bool:
        """Whether there is nothing to read, and nothing to be told of."""
        return self.number == self.ring.head

    def skip(self, is_slow: bool = False) -> Gap | None:
        """Go on to the latest events if what comes next is gone, and say what was missed.

        So it is for one that ``is_slow``, has caught up before, and is behind by more than those.
        Raises FellBehind in place of a gap if it is lossless, but for one that it came with.
        """
        if self.number != self.ring.head and self.ring.successor is not None:
            self._go_on(self.ring, self.ring.successor)
        ring, number = self.ring, self.number
        if number == ring.head:
            return None
        if number == _ELSEWHERE:
            missed = None
        elif not ring.holds(number):
            if self._is_lossless and self._has_begun:
                raise _fell_behind("fell out of the history of its channel")
            missed = number
        elif is_slow and self.has_caught_up and ring.head - number > LATEST:
            if self._is_lossless:
                return None
            missed = number
        else:
            self._has_begun = True
            return None
        was_connected, self._has_begun = self._has_begun, True
        self.number = max(ring.head - LATEST, ring.first - 1)
        missed = None if missed is None else self.number - missed
        return Gap(missed, self.position, was_connected)

    def _go_on(self, ring: Ring, successor: Ring) -> None:
        """In the history that took the place of ``ring``, and perhaps of others since."""
        while successor.successor is not None:
            successor = successor.successor
        if isinstance(ring, Anteroom):
            self._after = self._after or ring.beginning
            self._enter(successor)
            return
        if self._is_lossless and self._has_begun:
            raise _fell_behind("lost the history of its channel")
        self.ring, self.number = successor, _ELSEWHERE

    def read(self) -> tuple[bytes, int]:
        """What comes next, as ``Ring.read`` gives it, and how many events that is.

        Raises KeyError if it is no longer here.
        """
        wire, last = self.ring.read(self.number)
        events, self.number = last - self.number, last
        if last == self.ring.head:
            self.has_caught_up = True
        return wire, events

    def read_one(self) -> Frame:
        """The next event. Raises KeyError if that is no longer here."""
        frame = self.ring.frame(self.number + 1)
        self.number += 1
        if self.number == self.ring.head:
            self.has_caught_up = True
        return frame


def _fell_behind(what: str) -> FellBehind:
    return FellBehind(ECONNRESET, f"a lossless subscriber {what}")
