"""The decoder that other tests rely on, against the examples of the standard."""

import re
from collections import defaultdict

import pytest
from encoding import cut
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.testing import Event, SSEDecoder

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
def test_a_stream_is_decoded_whole_and_byte_by_byte(stream: bytes, events: list[Event]) -> None:
    assert SSEDecoder().feed(stream) == events
    decoder = SSEDecoder()
    assert [event for byte in stream for event in decoder.feed(bytes([byte]))] == events


def test_an_event_ends_with_the_cr_of_its_blank_line() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event("a")]
    assert decoder.feed(b"") == []
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
    decoder = SSEDecoder()
    decoder.feed(stream)
    assert decoder.retry == retry


def test_comments_are_kept() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b": heartbeat\n\n:dropped 3\n:\ndata: a\n\n") == [Event("a")]
    assert decoder.comments == ["heartbeat", "dropped 3", ""]


def test_last_event_id_changes_with_the_end_of_its_event() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert decoder.last_event_id == "1"
    decoder.feed(b"\n")
    assert decoder.last_event_id == "2"


FIELDS = [b"data", b"data", b"id", b"event", b"retry", b"", b"datum"]
COLONS = [b": ", b":", b":  ", b""]
VALUES = [b"", b"a", b"1", b"1\x002", b"\xff", b"\xf0\x9f", "\ufeff\u2028\x85\U0001f600".encode()]
ENDS = [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b""]
lines = st.tuples(*map(st.sampled_from, (FIELDS, COLONS, VALUES, ENDS))).map(b"".join)
streams = st.tuples(
    st.sampled_from([b"", "\ufeff".encode(), "\ufeff\ufeff".encode()]),
    st.lists(st.one_of(lines, lines, lines, st.binary(max_size=4)), min_size=6).map(b"".join),
).map(b"".join)


def meaning(stream: bytes) -> list[Event]:
    """The events of a whole stream by its grammar: lines, then blocks, then their fields."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    events = []
    last_event_id = ""
    block: dict[str, list[str]] = defaultdict(list)
    for line in re.split("\r\n|\r|\n", text)[:-1]:
        if line:
            name, _, value = line.partition(":")
            block[name].append(value.removeprefix(" "))
            continue
        last_event_id = [last_event_id, *(id for id in block["id"] if "\0" not in id)][-1]
        if block["data"]:
            type_ = ["", *block["event"]][-1] or "message"
            events.append(Event("\n".join(block["data"]), type_, last_event_id))
        block.clear()
    return events


@settings(derandomize=True, deadline=None, max_examples=5 * settings().max_examples)
@given(streams, st.lists(st.integers(1, 9), min_size=1))
def test_any_bytes_mean_the_same_wherever_they_are_cut(stream: bytes, sizes: list[int]) -> None:
    decoder = SSEDecoder()
    events = [event for piece in cut(stream, sizes) for event in decoder.feed(piece)]
    assert events == meaning(stream)


def test_a_retry_that_is_too_long_to_read_is_none() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"retry: 5\nretry: " + b"9" * 5000 + b"\n")
    assert decoder.retry == 5
