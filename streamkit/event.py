"""One server-sent event."""

from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import UUID

import msgspec

__all__ = ["ServerSentEvent"]


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event of a ``text/event-stream``: a plain record, which the encoder judges.

    ``data`` is text of any number of lines; anything else is sent as JSON (bytes in base64, as in
    an export), and None sends no data, so that only the other fields reach the client. ``event``
    names the event, ``id`` becomes the client's last event id (a number or UUID as its text),
    ``retry`` is its reconnection time in milliseconds, and ``comment`` is text of any number of
    lines that clients ignore.

    WHATWG HTML, 9.2.5 "Parsing an event stream".
    """

    data: Any
    event: str | None = None
    id: str | int | UUID | None = None
    retry: int | None = None
    comment: str | None = None

    if not TYPE_CHECKING:

        def keys(self) -> NoReturn:
            """As ``dict`` asks for them, by which FastAPI makes JSON of what it does not know."""
            raise TypeError(NO_JSON)

        @classmethod
        def __get_pydantic_core_schema__(cls, *arguments: Any) -> NoReturn:
            """As FastAPI asks of what an endpoint is annotated to yield."""
            raise TypeError(NO_JSON)


NO_JSON: Final = (
    "a ServerSentEvent cannot be sent as JSON: an endpoint of FastAPI that yields events has "
    "response_class=EventStream (from streamkit_adapters.fastapi import EventStream)"
)
