"""What is published, as it is kept: input to bytes, and back."""

import enum
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import ServerSentEvent
from streamkit.channels.frame import MAX_EVENT_BYTES, event_of, frame_of


class Color(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "lines", "is_text"),
    [
        ({"id": 7}, b'data: {"id":7}\n', False),
        # A mapping is a JSON value, and never the fields of an event.
        ({"data": 7, "id": "x"}, b'data: {"data":7,"id":"x"}\n', False),
        ([1, None], b"data: [1,null]\n", False),
        (0, b"data: 0\n", False),
        (False, b"data: false\n", False),
        ("", b"data: \n", True),
        ("text", b"data: text\n", True),
        ('{"id": 7}', b'data: {"id": 7}\n', True),
        ("a\nb\r\nc\rd", b"data: a\ndata: b\ndata: c\ndata: d\n", True),
        ("a\u2028b", "data: a\u2028b\n".encode(), True),
        ("\ud800", "data: \ufffd\n".encode(), True),
        ({"a": "\ud800"}, 'data: {"a":"\ufffd"}\n'.encode(), False),
        (ServerSentEvent({"id": 7}, event="created"), b'event: created\ndata: {"id":7}\n', False),
        (ServerSentEvent("x", event=Color.RED), b"event: red\ndata: x\n", True),
        (ServerSentEvent("x", retry=5), b"retry: 5\ndata: x\n", True),
        # Behind the data: in front of it, some readers would take it for a part of the event, and
        # others make an event of a blank line behind it.
        (ServerSentEvent("x", comment="a\nb"), b"data: x\n: a\n: b\n", True),
    ],
)
def test_a_value_is_kept_as_its_lines(value: Any, lines: bytes, is_text: bool) -> None:
    assert frame_of(value) == (lines, is_text)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "must have data"),
        (ServerSentEvent(None), "must have data"),
        (ServerSentEvent(None, event="created"), "must have data"),
        (ServerSentEvent(1, id="7"), "must have no id"),
        (ServerSentEvent(1, event="gap"), "must not be named 'gap'"),
        (ServerSentEvent(1, event="subscribed"), "must not be named 'subscribed'"),
        (ServerSentEvent(1, event="a\nb"), "event must not have a CR or LF"),
        (ServerSentEvent(1, retry=-1), "retry must not be negative"),
        (ServerSentEvent(1, comment=7), "comment must be a str"),  # type: ignore[arg-type]
        (b"bytes", "must have data, a JSON value or a str, got bytes"),
        (ServerSentEvent(b"bytes"), "must have data, a JSON value or a str, got bytes"),
        (object(), "cannot be sent as JSON"),
        ("x" * MAX_EVENT_BYTES, "must not be larger than 256 KiB"),
    ],
)
def test_what_cannot_be_sent_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        frame_of(value)


def test_the_largest_event_is_256_kib() -> None:
    text = "x" * (MAX_EVENT_BYTES - len("data: \n"))
    assert len(frame_of(text)[0]) == MAX_EVENT_BYTES
    with pytest.raises(ValueError, match=f"got {MAX_EVENT_BYTES + 1} bytes"):
        frame_of(text + "x")


json_values = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@given(json_values)
def test_what_was_published_is_what_is_read(value: Any) -> None:
    read = event_of(*frame_of(value), "7-1")
    assert read.id == "7-1"
    if isinstance(value, str):
        assert read.data == value.replace("\r\n", "\n").replace("\r", "\n")
    elif isinstance(value, float):
        assert math.isclose(read.data, value)
    else:
        assert read.data == value


@pytest.mark.parametrize(
    "event",
    [
        ServerSentEvent({"id": 7}, event="created"),
        ServerSentEvent("a\n\nb", event="created", retry=7, comment="note\nmore"),
        ServerSentEvent("", comment=""),
        ServerSentEvent("data: x\nid: 7\nretry: 5"),
    ],
)
def test_the_fields_of_an_event_are_read_as_they_were_published(event: ServerSentEvent) -> None:
    read = event_of(*frame_of(event), "7-1")
    assert (read.data, read.event, read.retry, read.comment) == (
        event.data,
        event.event,
        event.retry,
        event.comment,
    )
