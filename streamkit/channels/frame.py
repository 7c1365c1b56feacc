"""An event as a channel keeps it: encoded once, and whether its data is text or JSON."""

from typing import Any, Final

import msgspec

from streamkit.encoders import SSEEncoder
from streamkit.event import ServerSentEvent

__all__ = ["GAP", "MAX_EVENT_BYTES", "SUBSCRIBED", "Frame", "event_of", "frame_of", "json_event"]

MAX_EVENT_BYTES: Final = 256 * 1024
"""Bytes of an encoded event at the most. Sixteen of them are what a history may hold, and a server
of messages between processes handles one within a few milliseconds.
"""

GAP: Final = "gap"
"""The name of the event that tells a client what it has missed."""

SUBSCRIBED: Final = "subscribed"
"""The name of the event that tells a client its first position."""

# A tuple, of which isinstance makes less than of a union: each event is asked.
_BINARY: Final = (bytes, bytearray, memoryview)

# Judges nothing by what it has encoded before, so that all threads may share it.
_encoder: Final = SSEEncoder()


Frame = tuple[bytes, bool]
"""The lines of an event, each with its line end, but for that of the id and the blank one; and
whether its data is text, and not JSON. A plain tuple: one is made for each event.
"""


def frame_of(value: Any) -> Frame:
    """What is published for ``value``: a JSON value, a str, or a ``ServerSentEvent``.

    Raises ValueError if that cannot be sent, is larger than 256 KiB, has no data, or has an id or a
    name that the channel gives.
    """
    comment = b""
    if isinstance(value, ServerSentEvent):
        if value.id is not None:
            raise ValueError(
                f"event must have no id, which the channel gives it, got {value.id!r:.80}"
            )
        if value.event in (GAP, SUBSCRIBED):
            raise ValueError(
                f"event must not be named {value.event!r}, as an event of the channel's own is"
            )
        data = value.data
        if value.comment is not None:
            # Behind the data, where it needs no blank line for any reader.
            comment = _encoder.event(ServerSentEvent(None, comment=value.comment))
            value = msgspec.structs.replace(value, comment=None)
    else:
        data = value
    if data is None or isinstance(data, _BINARY):
        raise ValueError(f"event must have data, a JSON value or a str, got {type(data).__name__}")
    lines = _encoder.event(value)[:-1] + comment
    if len(lines) > MAX_EVENT_BYTES:
        raise ValueError(
            f"event must not be larger than {MAX_EVENT_BYTES // 1024} KiB when it is encoded, got "
            f"{len(lines)} bytes: publish a link to what is larger, for clients to fetch"
        )
    return lines, isinstance(data, str)


def event_of(lines: bytes, is_text: bool, event_id: str) -> ServerSentEvent:
    """The event that was published as these ``lines``, with the id that the channel gave it."""
    data: list[str] = []
    fields: dict[str, Any] = {}
    comment: list[str] = []
    for line in lines.decode().split("\n")[:-1]:
        field, _, value = line.partition(": ")
        if field == "data":
            data.append(value)
        elif field == "event":
            fields["event"] = value
        elif field == "retry":
            fields["retry"] = int(value)
        else:
            comment.append(value)
    if comment:
        fields["comment"] = "\n".join(comment)
    text = "\n".join(data)
    return ServerSentEvent(text if is_text else msgspec.json.decode(text), id=event_id, **fields)


def json_event(name: str, data: Any, event_id: str) -> bytes:
    """An event of the channel's own, as it is sent."""
    text = msgspec.json.encode(data).decode()
    return f"event: {name}\ndata: {text}\nid: {event_id}\n\n".encode()
