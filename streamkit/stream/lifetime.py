"""How the life of a stream goes: two parties, what each of them does, and what it leads to."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal

from streamkit.fork import shared_lock
from streamkit.metrics import Outcome

__all__ = ["Duty", "Lifetime"]

Consumer = Literal["open", "taking", "left"]
Pump = Literal["idle", "reading", "closed"]
State = tuple[Consumer, Pump]


class Duty(Enum):
    """What whoever brought about a change of state has to do next."""

    START = "start the pump"
    STOP = "stop the pump, which then closes the source as soon as it can"
    DISCARD = "close the source, which no pump has read from"
    SETTLE = "settle: both sides have left"


Table = Mapping[State, tuple[State, Duty | None]]

# Each state is one object, so that a look at it needs no lock and no comparison. A source that is
# closed unread counts as being read, since whoever closes it says so as a pump does.
_OPEN: Final[State] = ("open", "idle")
_WITHOUT_PUMP: Final[State] = ("taking", "idle")
_TAKING: Final[State] = ("taking", "reading")
_ENDED: Final[State] = ("taking", "closed")
_CLOSING: Final[State] = ("left", "reading")
_SETTLED: Final[State] = ("left", "closed")

# All that may happen, and in which states. What happens in any other changes nothing.

THE_CONSUMER_TAKES: Final[Table] = {
    _OPEN: (_TAKING, Duty.START),
}
THE_PUMP_DOES_NOT_START: Final[Table] = {
    _TAKING: (_WITHOUT_PUMP, None),
    _CLOSING: (_CLOSING, Duty.DISCARD),
}
THE_CONSUMER_LEAVES: Final[Table] = {
    _OPEN: (_CLOSING, Duty.DISCARD),
    _WITHOUT_PUMP: (_CLOSING, Duty.DISCARD),
    _TAKING: (_CLOSING, Duty.STOP),
    _ENDED: (_SETTLED, Duty.SETTLE),
}
THE_SOURCE_CLOSES: Final[Table] = {
    _TAKING: (_ENDED, None),
    _CLOSING: (_SETTLED, Duty.SETTLE),
}

# There is one lock for all streams, since it is held for no more than a look at a table, and a few
# times a stream. A finalizer of the application's may close another stream while a thread holds it.
_lock = shared_lock()


class Lifetime:
    """The states of the two parties of one stream, and how it ended.

    The consumer is *open* until it asks for a first chunk, then *taking*, and has *left* when it
    has the last one, or goes away, or was told of a failure. The pump is *idle* until then, then
    *reading*, and *closed* when it has closed the source. Each method is what one of them does, on
    whatever thread; it returns what the caller has to do next, if anything.
    """

    __slots__ = ("_state", "has_left", "is_open", "outcome", "raised", "source_error")

    def __init__(self) -> None:
        self._state = _OPEN
        # Both are looked at several times a chunk, and change with the state.
        self.is_open = True
        """Whether the consumer has yet to ask for its first chunk, and has not left either."""
        self.has_left = False
        """Whether the consumer has left, or was made to."""
        self.outcome: Outcome = "disconnected"
        """How the stream ended, by the word of the first who made the consumer leave."""
        self.raised: BaseException | None = None
        """What the consumer was told of, if the stream failed."""
        self.source_error: BaseException | None = None
        """What the source failed with, or its close, whether or not a consumer was told of it."""

    @property
    def is_settled(self) -> bool:
        """Whether both sides have left."""
        return self._state is _SETTLED

    @property
    def is_whole(self) -> bool:
        """Whether the consumer left when it had all that there was to be."""
        return self.has_left and self.outcome in ("completed", "retired")

    def take(self) -> Duty | None:
        """The consumer asks for a chunk. START the first time, unless it has left by then."""
        with _lock:
            return self._go(THE_CONSUMER_TAKES)

    def fail_to_start(self) -> Duty | None:
        """There was no thread or loop to be had for the pump, which has read nothing.

        DISCARD if the consumer has left already; otherwise its ``leave`` will say so.
        """
        with _lock:
            return self._go(THE_PUMP_DOES_NOT_START)

    def leave(self, outcome: Outcome, raised: BaseException | None = None) -> Duty | None:
        """The consumer leaves, or is made to; ``raised`` is what it was told.

        None if it had left before: then it stays with the outcome of that time.
        """
        with _lock:
            if self._state not in THE_CONSUMER_LEAVES:
                return None
            self.outcome, self.raised = outcome, raised
            return self._go(THE_CONSUMER_LEAVES)

    def close(self, error: BaseException | None) -> Duty | None:
        """The source is closed; ``error`` is what it failed with."""
        with _lock:
            self.source_error = error
            return self._go(THE_SOURCE_CLOSES)

    def _go(self, table: Table) -> Duty | None:
        self._state, duty = table.get(self._state, (self._state, None))
        self.is_open = self._state is _OPEN
        self.has_left = self._state is _CLOSING or self._state is _SETTLED
        return duty
