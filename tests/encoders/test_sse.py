import enum
import re
from collections.abc import Mapping
from typing import Any

import pytest
from encoding import encoded, encoded_until_raised
from hypothesis import given, settings
from hypothesis import strategies as st
from sse_decoder import Decoder, Event

from streamkit.encoders import SSEEncoder
from streamkit.event import ServerSentEvent


class Name(str, enum.Enum):  # noqa: UP042 (it differs from StrEnum)
    TICK = "tick"


ELEMENTS: list[tuple[Any, str]] = [
    # A str is data.
    ("a", "data: a\n\n"),
    ("", "data: \n\n"),
    (" a", "data:  a\n\n"),
    (": a", "data: : a\n\n"),
    (Name.TICK, "data: tick\n\n"),
    # CR, LF and CRLF end a line of data, and nothing else does.
    ("a\nb", "data: a\ndata: b\n\n"),
    ("a\rb", "data: a\ndata: b\n\n"),
    ("a\r\nb", "data: a\ndata: b\n\n"),
    ("a\n\rb", "data: a\ndata: \ndata: b\n\n"),
    ("a\n", "data: a\ndata: \n\n"),
    ("\n\n", "data: \ndata: \ndata: \n\n"),
    ("a\u2028b\u0085c\vd\fe\x1cf", "data: a\u2028b\u0085c\vd\fe\x1cf\n\n"),
    ("a\0b", "data: a\0b\n\n"),
    # Anything else is JSON.
    ({"a": 1, "b": "x\ny"}, 'data: {"a":1,"b":"x\\ny"}\n\n'),
    ([1, 2.5, True], "data: [1,2.5,true]\n\n"),
    (None, "data: null\n\n"),
    (0, "data: 0\n\n"),
    (b"ab", 'data: "YWI="\n\n'),
    ({"data": "a"}, 'data: {"data":"a"}\n\n'),
    # An event is as it is.
    (ServerSentEvent("a"), "data: a\n\n"),
    (ServerSentEvent({"a": 1}), 'data: {"a":1}\n\n'),
    (ServerSentEvent(0), "data: 0\n\n"),
    (ServerSentEvent("a", event="tick"), "event: tick\ndata: a\n\n"),
    (ServerSentEvent("a", event=Name.TICK), "event: tick\ndata: a\n\n"),
    (ServerSentEvent("a", id="1"), "id: 1\ndata: a\n\n"),
    (ServerSentEvent("a", id=""), "id: \ndata: a\n\n"),
    (ServerSentEvent("a", retry=0), "retry: 0\ndata: a\n\n"),
    (ServerSentEvent("a", comment="c\r\nd"), ": c\n: d\ndata: a\n\n"),
    (
        ServerSentEvent("a\nb", event="tick", id="1", retry=1500, comment="c"),
        ": c\nevent: tick\nid: 1\nretry: 1500\ndata: a\ndata: b\n\n",
    ),
    # Without data the other fields still arrive.
    (ServerSentEvent(None, comment="c"), ": c\n\n"),
    (ServerSentEvent(None, retry=10), "retry: 10\n\n"),
    (ServerSentEvent(None, id="1"), "id: 1\n\n"),
    (ServerSentEvent(""), "data: \n\n"),
]


@pytest.mark.parametrize(("element", "text"), ELEMENTS)
def test_an_element(element: Any, text: str) -> None:
    encoder = SSEEncoder()
    assert encoded(encoder, [element]) == text.encode()
    assert not encoder.refused


MAPPINGS: list[tuple[Mapping[str, Any], str]] = [
    ({"data": "a"}, "data: a\n\n"),
    ({"data": {"a": 1}, "event": "tick", "id": "1"}, 'event: tick\nid: 1\ndata: {"a":1}\n\n'),
    ({"comment": "c"}, ": c\n\n"),
    ({"retry": 10}, "retry: 10\n\n"),
]


@pytest.mark.parametrize(("fields", "text"), MAPPINGS)
def test_serialize_may_return_the_fields_of_an_event(fields: Mapping[str, Any], text: str) -> None:
    assert encoded(SSEEncoder(lambda element: element), [fields]) == text.encode()


def test_serialize_may_return_an_event_or_its_data() -> None:
    assert encoded(SSEEncoder(lambda n: f"{n}\n{n}"), [1]) == b"data: 1\ndata: 1\n\n"
    assert encoded(SSEEncoder(lambda n: ServerSentEvent("a", id=str(n))), [1]) == (
        b"id: 1\ndata: a\n\n"
    )


REFUSED: list[tuple[Any, str]] = [
    ({"data": "a", "event": "b\nc"}, "event must not have a CR or LF in it, got 'b\\nc'"),
    ({"data": "a", "event": "b\r"}, "event must not have a CR or LF in it, got 'b\\r'"),
    ({"data": "a", "event": 1}, "event must be a str, got int"),
    ({"data": "a", "id": "1\ndata: evil"}, "id must not have a CR or LF in it"),
    ({"data": "a", "id": "1\r"}, "id must not have a CR or LF in it"),
    ({"data": "a", "id": "1\0"}, "id must not have a NUL in it, got '1\\x00'"),
    ({"data": "a", "id": 1}, "id must be a str, got int"),
    ({"data": "a", "retry": -1}, "retry must not be negative, got -1"),
    ({"data": "a", "retry": True}, "retry must be an int of milliseconds, got bool"),
    ({"data": "a", "retry": 1.5}, "retry must be an int of milliseconds, got float"),
    ({"data": "a", "retry": "10"}, "retry must be an int of milliseconds, got str"),
    ({"data": "a", "comment": 1}, "comment must be a str, got int"),
    ({"data": b"a"}, "data must be text or a JSON value, got bytes"),
    ({"data": bytearray(b"a")}, "data must be text or a JSON value, got bytes"),
    ({"data": 1j}, "data cannot be sent as JSON: a value of type complex cannot be encoded"),
    ({"data": "a", "evnt": "b"}, "'evnt' is not a field of an event"),
    ({"data": "a", 1: "b"}, "1 is not a field of an event"),
]


@pytest.mark.parametrize(("fields", "reason"), REFUSED)
def test_a_bad_event_costs_only_itself(fields: Any, reason: str) -> None:
    encoder = SSEEncoder(lambda element: element)
    body = encoded(encoder, [{"data": "before"}, fields, {"data": "after"}])
    assert body == b"data: before\n\n: refused\n\ndata: after\n\n"
    (error,) = encoder.refused
    assert type(error) is ValueError
    assert str(error).startswith(reason)


def test_an_element_that_has_no_json_form_costs_only_itself() -> None:
    encoder = SSEEncoder()
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    assert encoded(encoder, ["a", object(), cyclic, "b"]) == (
        b"data: a\n\n: refused\n\n: refused\n\ndata: b\n\n"
    )
    assert [str(error)[:26] for error in encoder.refused] == [
        "data cannot be sent as JSON"[:26]
    ] * 2


@pytest.mark.parametrize("returned", [None, 1, b"a", ["a"]])
def test_serialize_that_returns_something_else(returned: Any) -> None:
    encoder = SSEEncoder(lambda element: returned if element == "bad" else element)
    body, error = encoded_until_raised(encoder, ["a", "bad", "b"])
    assert body == b"data: a\n\n"
    assert isinstance(error, TypeError)
    assert re.search(
        f"a ServerSentEvent, a mapping .* or a str, got {type(returned).__name__}$", str(error)
    )


@pytest.mark.parametrize("raised", [ValueError("mine"), KeyError("mine"), UnicodeError("mine")])
def test_what_serialize_raises_is_the_users_own(raised: Exception) -> None:
    def serialize(element: str) -> str:
        if element == "bad":
            raise raised
        return element

    encoder = SSEEncoder(serialize)
    assert encoded_until_raised(encoder, ["a", "bad", "b"]) == (b"data: a\n\n", raised)
    assert not encoder.refused


def test_stop_iteration_from_serialize_does_not_end_the_stream_in_silence() -> None:
    empty = iter(())
    body, error = encoded_until_raised(SSEEncoder(lambda element: next(empty)), ["a"])
    assert body == b""
    assert isinstance(error, RuntimeError)


SURROGATES: list[tuple[Any, str]] = [
    ("a\ud800b", "data: a\ufffdb\n\n"),
    ("\ud83d\ude00", "data: \U0001f600\n\n"),
    ({"\udc00": ["\ud800"]}, 'data: {"\ufffd":["\ufffd"]}\n\n'),
    (ServerSentEvent("a", event="\ud800", id="\ud800"), "event: \ufffd\nid: \ufffd\ndata: a\n\n"),
    (ServerSentEvent("a", comment="\ud800"), ": \ufffd\ndata: a\n\n"),
]


@pytest.mark.parametrize(("element", "text"), SURROGATES)
def test_a_lone_surrogate_is_repaired_and_counted(element: Any, text: str) -> None:
    encoder = SSEEncoder()
    assert encoded(encoder, ["a", element, "b"]) == f"data: a\n\n{text}data: b\n\n".encode()
    assert encoder.repaired == 1


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("heartbeat", b": heartbeat\n\n"),
        ("dropped 3", b": dropped 3\n\n"),
        ("a\ndata: b", b": a\n: data: b\n\n"),
    ],
)
def test_a_comment(text: str, comment: bytes) -> None:
    assert SSEEncoder().comment(text) == comment


texts = st.text(st.characters(exclude_categories=["Cs"]))
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))
events = st.builds(
    ServerSentEvent,
    data=st.none() | texts,
    event=st.none() | lines,
    id=st.none() | lines.map(lambda text: text.replace("\0", "")),
    retry=st.none() | st.integers(0, 2**70),
    comment=st.none() | texts,
)


@settings(derandomize=True, deadline=None)
@given(st.lists(events), st.integers(1, 9))
def test_a_client_reads_what_was_sent(sent: list[ServerSentEvent], step: int) -> None:
    body = encoded(SSEEncoder(), sent)
    decoder = Decoder()
    received = [
        event
        for start in range(0, len(body), step)
        for event in decoder.feed(body[start : start + step])
    ]

    expected: list[Event] = []
    last_event_id, retry = "", None
    for event in sent:
        last_event_id = last_event_id if event.id is None else event.id
        retry = retry if event.retry is None else event.retry
        if event.data is not None:
            data = re.sub("\r\n?", "\n", event.data)
            expected.append(Event(data, event.event or "message", last_event_id))
    assert received == expected
    assert decoder.last_event_id == last_event_id
    assert decoder.retry == retry
