"""Server-sent events."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from streamkit.encoders.base import Encoder
from streamkit.event import ServerSentEvent
from streamkit.log import say_once
from streamkit.rows.values import json_of, repaired

__all__ = ["SSEEncoder"]

# Not str.splitlines, which splits at U+2028 and others that are no line ends here.
LINE_END: Final = re.compile(r"\r\n|\r|\n")

FIELDS: Final = frozenset(ServerSentEvent.__struct_fields__)

LOOKS_LIKE_AN_EVENT: Final = (
    "an event stream was given a mapping that has only fields of an event, 'data' among them, and "
    "all of it is sent as JSON. If it is meant to be the event, yield ServerSentEvent(**mapping), "
    "or pass serialize=dict"
)


ALREADY_ENCODED: Final = (
    "an event stream was given text that begins with a field of an event and ends with a blank "
    "line, and all of it is sent as the data of one. Yield the data alone, or a ServerSentEvent"
)


class SSEEncoder(Encoder):
    """Events as a ``text/event-stream``.

    ``serialize`` turns an element into a ServerSentEvent, a mapping of its fields, or a str that is
    its data. Without it an element that is an event or a str is taken so, any other is the data of
    an event, as JSON.

    An event is refused if its event or id has a line end in it, its id a NUL, its retry is no
    non-negative int, its data has no JSON form, or a mapping has a field that events have not. The
    comment ``refused`` is sent in its place.

    ``blank_after_comments`` says whether a comment, or a ``retry`` by itself, is followed by a
    blank line, as an event is.

    WHATWG HTML, 9.2.5 "Parsing an event stream". Raises what ``serialize`` raises, and TypeError if
    it returns anything else.
    """

    __slots__ = ("_after_comment", "_has_own_retry", "_serialize")

    def __init__(
        self,
        serialize: Callable[[Any], ServerSentEvent | Mapping[str, Any] | str] | None = None,
        *,
        blank_after_comments: bool = False,
    ) -> None:
        super().__init__()
        self._serialize = serialize
        self._after_comment = "\n" if blank_after_comments else ""
        self._has_own_retry = False

    def encode(self, batch: Sequence[Any]) -> Iterator[bytes]:
        # No map, which would end in silence where serialize raises StopIteration (PEP 479).
        for element in batch:
            yield self.encode_one(element)

    def encode_one(self, element: Any) -> bytes:
        serialize = self._serialize
        if serialize is not None:
            element = _checked(serialize(element))
        if type(element) is str and "\n" not in element and "\r" not in element:
            # As most are: in no more calls than it takes.
            text = f"data: {element}\n\n"
        else:
            try:
                text = self._text(element)
            except ValueError as reason:
                self.refused.append(reason)
                text = self._comment("refused")
        return text.encode() if text.isascii() else self._utf8(text)

    def retry(self, milliseconds: int) -> bytes:
        if self._has_own_retry:
            # The client keeps the time that the application gave it.
            return b""
        return (_retry(milliseconds) + self._after_comment).encode()

    def comment(self, text: str) -> bytes:
        return self._utf8(self._comment(text))

    def _comment(self, text: Any) -> str:
        return _lines("", text) + self._after_comment

    def _text(self, element: Any) -> str:
        """The event of an element. Raises ValueError if it is to be refused."""
        if isinstance(element, str):
            if element[-2:] == "\n\n" and element.startswith(("data:", "event:", "id:")):
                say_once(ALREADY_ENCODED)
            return _lines("data", element) + "\n"
        if isinstance(element, ServerSentEvent):
            return self._event(element)
        if self._serialize is not None:
            return self._event(_from_mapping(element))
        kind = type(element)
        if kind is dict:
            if "data" in element and FIELDS.issuperset(element):
                say_once(LOOKS_LIKE_AN_EVENT)
        elif kind.__name__ == ServerSentEvent.__name__:
            raise ValueError(
                f"an event must be streamkit's own, got one of {kind.__module__}: "
                "from streamkit import ServerSentEvent"
            )
        return self._json(element) + "\n"

    def event(self, element: Any) -> bytes:
        """The bytes of one event, which ends with a blank line.

        ``element`` is what ``encode`` takes one of. Raises ValueError if it is to be refused.
        """
        return self._utf8(self._text(element))

    def _event(self, event: ServerSentEvent) -> str:
        text = comment = ""
        if event.comment is not None:
            comment = self._comment(event.comment)
        if event.event is not None:
            text += _line("event", event.event)
        if event.id is not None:
            text += _id(event.id)
        if event.retry is not None:
            text += _retry(event.retry)
        data = event.data
        if isinstance(data, str):
            text += _lines("data", data)
        elif data is not None:
            text += self._json(data)
        if event.retry is not None:
            # Not before, as an event that is refused sends none.
            self._has_own_retry = True
        if data is None and event.event is None and event.id is None:
            return comment + (text and text + self._after_comment)
        return comment + text + "\n"

    def _json(self, data: Any) -> str:
        try:
            try:
                text = json_of(data).decode()
            except UnicodeEncodeError:
                text = json_of(repaired(data)).decode()
                self.repaired += 1
        except RecursionError as error:
            kind = type(data).__name__
            raise ValueError(
                f"data of type {kind} cannot be sent as JSON: it is nested too deeply, or in itself"
            ) from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"data cannot be sent as JSON: {error}") from error
        except Exception as error:
            # A value's own code is called for its form, and may raise anything.
            raise ValueError(f"data cannot be sent as JSON: {error!r}") from error
        return f"data: {text}\n"


def _checked(element: Any) -> Any:
    """What ``serialize`` has returned. Raises TypeError if that is nothing to make an event of."""
    if isinstance(element, ServerSentEvent | str | Mapping):
        return element
    raise TypeError(
        "serialize must return a ServerSentEvent, a mapping of its fields or a str, "
        f"got {type(element).__name__}"
    )


def _from_mapping(fields: Mapping[Any, Any]) -> ServerSentEvent:
    for name in fields:
        if name not in FIELDS:
            known = ", ".join(ServerSentEvent.__struct_fields__)
            raise ValueError(f"{name!r} is not a field of an event, which has {known}")
    return ServerSentEvent(**{"data": None, **fields})


def _lines(field: str, text: Any) -> str:
    if type(text) is not str:
        text = _str(field or "comment", text)
    if "\n" not in text and "\r" not in text:
        return f"{field}: {text}\n"
    return "".join(f"{field}: {line}\n" for line in LINE_END.split(text))


def _line(field: str, text: Any) -> str:
    if type(text) is not str:
        text = _str(field, text)
    if "\n" in text or "\r" in text:
        raise ValueError(f"{field} must not have a CR or LF in it, got {text[:80]!r}")
    return f"{field}: {text}\n"


def _id(value: Any) -> str:
    if type(value) is not str and isinstance(value, int | UUID) and type(value) is not bool:
        # Not as str() has it, which of an enum that is an int may be its name.
        value = UUID.__str__(value) if isinstance(value, UUID) else int.__repr__(value)
    line = _line("id", value)
    if "\0" in line:
        raise ValueError(f"id must not have a NUL in it, got {str(value)[:80]!r}")
    return line


def _str(field: str, text: Any) -> str:
    if not isinstance(text, str):
        expected = "a str, an int or a UUID" if field == "id" else "a str"
        raise ValueError(f"{field} must be {expected}, got {type(text).__name__}")
    # An enum that is a str would be formatted as its name.
    return str.__str__(text)


def _retry(milliseconds: Any) -> str:
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool):
        raise ValueError(f"retry must be an int of milliseconds, got {type(milliseconds).__name__}")
    if milliseconds < 0:
        raise ValueError(f"retry must not be negative, got {milliseconds}")
    return f"retry: {milliseconds:d}\n"
