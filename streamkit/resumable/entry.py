"""What a log is made of: entries, each of which has the events that were ready at a time."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from streamkit.encoders import SSEEncoder
from streamkit.event import ServerSentEvent

__all__ = ["Blocks", "Place", "after", "error_event", "place_from", "wire"]

# At most 18 digits, as either number fits into 64 bits then.
_PLACE: Final = re.compile(r"([1-9][0-9]{0,17})-([1-9][0-9]{0,17})-([1-9][0-9]{0,17})")


class Place(NamedTuple):
    """Behind this event of an answer: what stands in its ``id``."""

    epoch: int
    """Of one log alone: a key that is used again, after its log is gone, has another."""
    number: int
    """That of the entry, from 1 on. The end of the log has the one after the last."""
    event: int
    """That of the event in its entry, from 1 on."""


def place_from(event_id: str | None) -> Place | None:
    """What a client sends as its last event id; None for anything that no answer ever gave."""
    match = _PLACE.fullmatch(event_id or "")
    return Place(int(match[1]), int(match[2]), int(match[3])) if match else None


class Blocks:
    """Makes blocks of elements: the lines of an event each, but for the id and the blank line.

    An element that has neither data nor a name, a comment or a ``retry`` by itself, is no event,
    and has no place that a client could come back to: it goes out with the event after it.
    """

    def __init__(self) -> None:
        self._encoder = SSEEncoder()
        self.ahead = bytearray()
        """What is to go out with the next event."""
        self.refused: list[ValueError] = []
        """Why events were refused, one reason an event. Whoever reads the list clears it."""

    def of(self, batch: Iterable[Any]) -> list[bytes]:
        """The blocks of these elements. One that cannot be sent has none."""
        blocks: list[bytes] = []
        encode = self._encoder.event
        for element in batch:
            if (
                type(element) is str
                and element.isascii()
                and "\n" not in element
                and "\r" not in element
            ):
                # As most of a model's tokens are: in no more calls than it takes.
                block = f"data: {element}\n".encode()
            else:
                try:
                    if isinstance(element, ServerSentEvent):
                        if element.id is not None:
                            raise ValueError(
                                "event must have no id, which a resumable answer gives it, got "
                                f"{element.id!r:.80}"
                            )
                        if element.data is None and element.event is None:
                            self.ahead += encode(element)
                            continue
                    block = encode(element)[:-1]
                except ValueError as reason:
                    self.refused.append(reason)
                    continue
            if self.ahead:
                block, self.ahead = bytes(self.ahead) + block, bytearray()
            blocks.append(block)
        return blocks


def wire(blocks: Sequence[bytes], epoch: int, number: int) -> bytes:
    """The events of an entry as they are sent."""
    if len(blocks) == 1:
        # As most are.
        return b"%bid: %d-%d-1\n\n" % (blocks[0], epoch, number)
    return b"".join(
        b"%bid: %d-%d-%d\n\n" % (block, epoch, number, event)
        for event, block in enumerate(blocks, 1)
    )


def after(sent: bytes, events: int) -> bytes:
    """What is left of an entry, as it is sent, behind so many of its events."""
    return b"".join(_rest(sent.split(b"\n\n")[events:-1]))


def _rest(events: Iterable[bytes]) -> Iterator[bytes]:
    for event in events:
        yield event
        yield b"\n\n"


def error_event(error: str, epoch: int, number: int) -> bytes:
    """The event that tells of an end which is none, and is at its place."""
    block = b"event: error\ndata: %b\n" % msgspec.json.encode({"error": error})
    return wire([block], epoch, number)
