"""The decoder that other tests rely on, against the examples of the standard."""

import pytest
from sse_decoder import Decoder, Event

STREAMS = {
    "one event of three lines": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [Event("YHOO\n+2\n10")],
    ),
    "a comment, an id that stays, an id that is reset, and an event without its end": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        [Event("first event", last_event_id="1"), Event("second event")],
    ),
    "empty data": (b"data\n\ndata\ndata\n\ndata:", [Event(""), Event("\n")]),
    "one space is no part of the value": (b"data:test\n\ndata: test\n\n", [Event("test")] * 2),
    "a second space is": (b"data:  test\n\n", [Event(" test")]),
    "every line end": (b"data: a\rdata: b\r\ndata: c\n\r\r\n", [Event("a\nb\nc")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
    "a second byte order mark": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    "a type of its own": (b"event: add\ndata: a\n\ndata: b\n\n", [Event("a", "add"), Event("b")]),
    "a type without data": (b"event: add\n\ndata: b\n\n", [Event("b")]),
    "an id for all that follow": (
        b"id: 1\ndata: a\n\ndata: b\n\n",
        [Event("a", last_event_id="1"), Event("b", last_event_id="1")],
    ),
    "an id without data": (b"id: 1\n\ndata: b\n\n", [Event("b", last_event_id="1")]),
    "an id with a NUL": (b"id: 1\x002\ndata: a\n\n", [Event("a")]),
    "unknown fields": (b"Data: a\ndat: a\n data: a\ndata : a\n\n", []),
    "U+2028 is no line end": ("data: a\u2028b\n\n".encode(), [Event("a\u2028b")]),
    "broken UTF-8": (b"data: \xff\n\n", [Event("\ufffd")]),
}


@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)
def test_whole_and_byte_by_byte(stream: bytes, events: list[Event]) -> None:
    assert Decoder().feed(stream) == events
    decoder = Decoder()
    assert [event for byte in stream for event in decoder.feed(bytes([byte]))] == events


def test_an_event_ends_with_the_cr_of_its_blank_line() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event("a")]
    assert decoder.feed(b"\ndata: b\r\r") == [Event("b")]


@pytest.mark.parametrize(
    ("stream", "retry"),
    [
        (b"retry: 1500\n", 1500),
        (b"retry: 0\n", 0),
        (b"retry: 1500\nretry: 5s\n", 1500),
        (b"retry: -1\n", None),
        (b"retry\n", None),
        ("retry: \u0665\n".encode(), None),
    ],
)
def test_retry_is_digits_only(stream: bytes, retry: int | None) -> None:
    decoder = Decoder()
    decoder.feed(stream)
    assert decoder.retry == retry


def test_comments() -> None:
    decoder = Decoder()
    assert decoder.feed(b": heartbeat\n\n:dropped 3\n:\ndata: a\n\n") == [Event("a")]
    assert decoder.comments == ["heartbeat", "dropped 3", ""]


def test_last_event_id_changes_with_the_end_of_its_event() -> None:
    decoder = Decoder()
    decoder.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert decoder.last_event_id == "1"
    decoder.feed(b"\n")
    assert decoder.last_event_id == "2"
