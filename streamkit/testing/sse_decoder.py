"""A client's side of server-sent events, by the letter of the standard.

WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream".
"""

import codecs
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

__all__ = ["Event", "SSEDecoder"]

LINE: Final = re.compile(r"([^\r\n]*)(\r\n|\r|\n)")


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a client is told of it: a ``MessageEvent``.

    ``last_event_id`` is that of the latest event that had an ``id``.
    """

    data: str
    type: str = "message"
    last_event_id: str = ""


class SSEDecoder:
    """Takes a stream in pieces of any size. What has no blank line after it is not an event yet."""

    def __init__(self) -> None:
        self.last_event_id = ""
        """What the client would send as ``Last-Event-ID``: it changes where an event ends."""
        self.retry: int | None = None
        """The client's reconnection time in milliseconds; None until the stream names one."""
        self.comments: list[str] = []
        """Each comment line, without the colon and one space after it."""
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at_start = True
        self._after_cr = False
        self._data = ""
        self._type = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that end in ``chunk``."""
        text = self._utf8.decode(chunk)
        if self._at_start and text:
            text = text.removeprefix("\ufeff")
            self._at_start = False
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        self._text += text
        events: list[Event] = []
        position = 0
        for match in LINE.finditer(self._text):
            position = match.end()
            # A CR ends its line at once, and an LF that is still to come belongs to it.
            self._after_cr = match[2] == "\r" and position == len(self._text)
            event = self._take(match[1])
            if event is not None:
                events.append(event)
        self._text = self._text[position:]
        return events

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "":
                self.comments.append(value)
            case "event":
                self._type = value
            case "data":
                self._data += value + "\n"
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                # Python reads up to 4300 digits, which is more than browsers do.
                with suppress(ValueError):
                    self.retry = int(value)
            case _:
                pass
        return None

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        data, type_ = self._data, self._type
        self._data = self._type = ""
        if not data:
            return None
        return Event(data.removesuffix("\n"), type_ or "message", self.last_event_id)
