"""A stream of events and of everything that is sent between them, the same for every client."""

import threading
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from streamkit import ServerSentEvent, kind
from streamkit.testing import Event

__all__ = ["COMMENTS", "EVENTS", "RETRY", "Wire", "data", "script"]

WAIT: Final = 10.0
"""Seconds after which what is waited for will not come."""

RETRY: Final = 1500
"""Milliseconds. What a client would have to make up for itself is another time."""

SLOW: Final = 4
"""The number of the event that the client is slow to take."""

DROPPED: Final = 6
"""How many events it loses by that."""

LAST: Final = SLOW + DROPPED + kind.SSE.capacity + 1


def data(number: int) -> dict[str, Any]:
    """What a client of OpenAI's understands, and any other of JSON."""
    return {"choices": [{"delta": {"content": f"{number}"}, "index": 0}]}


EVENTS: Final = [
    Event(
        msgspec.json.encode(data(number)).decode(),
        type="message" if number % 2 else "tick",
        last_event_id=f"{number}",
    )
    for number in range(1, LAST + 1)
    if not SLOW < number <= SLOW + DROPPED
]
"""What arrives."""

COMMENTS: Final = ["with an event", "by itself", "refused", f"dropped {DROPPED}"]
"""What is sent beside heartbeats."""


class Wire:
    """What was sent of one stream. Its source waits for that."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sent = b""
        self._is_slow = True

    def pass_on(self, chunk: bytes) -> bytes:
        """``chunk``, when it may be sent."""
        with self._changed:
            self._sent += chunk
            self._changed.notify_all()
            if EVENTS[SLOW - 1].data.encode() in chunk:
                self._changed.wait_for(lambda: not self._is_slow, WAIT)
        return chunk

    def wait_for(self, text: bytes) -> None:
        """Until ``text`` is sent, after what was waited for before."""
        with self._changed:
            if not self._changed.wait_for(lambda: text in self._sent, WAIT):
                raise TimeoutError(f"{text!r} is not sent, but {self._sent!r}")
            _, _, self._sent = self._sent.partition(text)

    def go_on(self) -> None:
        """The client is slow no longer."""
        with self._changed:
            self._is_slow = False
            self._changed.notify_all()


def script(wire: Wire, *, bare: bool = False) -> Iterator[ServerSentEvent]:
    """The events of the stream; if ``bare``, only with their data."""

    def event(number: int, comment: str | None = None) -> ServerSentEvent:
        if bare:
            return ServerSentEvent(data(number), comment=comment)
        name = None if number % 2 else "tick"
        return ServerSentEvent(data(number), event=name, id=f"{number}", comment=comment)

    # What comes first is a heartbeat, which has no data that could be read as JSON.
    wire.wait_for(b": heartbeat\n")
    yield event(1)
    wire.wait_for(b"data: ")
    # Now some clients have an id to remember.
    wire.wait_for(b": heartbeat\n")
    yield ServerSentEvent(None, retry=RETRY)
    wire.wait_for(b"retry: ")
    yield event(2, comment="with an event")
    yield ServerSentEvent(None, comment="by itself")
    yield ServerSentEvent("refused", id="of two\nlines")
    yield event(3)
    wire.wait_for(b": refused\n")
    wire.wait_for(b"data: ")
    yield event(SLOW)
    wire.wait_for(b"data: ")
    # Its client is slow to take it: of those that are made meanwhile it gets the latest.
    for number in range(SLOW + 1, LAST):
        yield event(number)
    wire.go_on()
    wire.wait_for(b": dropped ")
    yield event(LAST)
