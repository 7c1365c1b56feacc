"""Where in the history of a channel a client is: what stands in the ``id`` of an event."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["NOWHERE", "Position", "ids", "positions"]

# At most 19 digits, so that either number fits into 64 bits, as it does in an id of Redis.
_POSITION: Final = re.compile(r"([1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})")


class Position(NamedTuple):
    """Behind the event of this ``number``, in the history that began as ``epoch``.

    Numbers go up by one from event to event. The first is 1, so that 0 is before all of them. An
    epoch is of one history alone: its numbers mean nothing in another.
    """

    epoch: int
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"


NOWHERE: Final = Position(1, 0)
"""In no history, as all of them began later: whoever comes back with it is told of a gap."""


def ids(each: Iterable[Position]) -> str:
    """The id of an event of several channels: a position for each, in their order."""
    return ".".join(map(str, each))


def positions(event_id: str, channels: int) -> list[Position] | None:
    """The positions that ``ids`` made this of, one for each of so many ``channels``.

    None for anything else that a client may send.
    """
    parts = event_id.split(".", channels)
    matches = [_POSITION.fullmatch(part) for part in parts]
    if len(parts) != channels:
        return None
    found = [Position(int(match[1]), int(match[2])) for match in matches if match]
    return found if len(found) == channels else None
