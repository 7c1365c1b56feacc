"""One server-sent event."""

from typing import Any

import msgspec

__all__ = ["ServerSentEvent"]


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event of a ``text/event-stream``: a plain record, which the encoder judges.

    ``data`` is text of any number of lines; anything else but bytes is sent as JSON, and None
    sends no data, so that only the other fields reach the client. ``event`` names the event,
    ``id`` becomes the client's last event id, ``retry`` is its reconnection time in milliseconds,
    and ``comment`` is text of any number of lines that clients ignore.

    WHATWG HTML, 9.2.5 "Parsing an event stream".
    """

    data: Any
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None
