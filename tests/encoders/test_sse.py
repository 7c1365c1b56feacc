import enum
import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from encoding import cut, encoded, encoded_until_raised
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.encoders import SSEEncoder
from streamkit.event import ServerSentEvent
from streamkit.testing import SSEDecoder


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
    # Without data the other fields still arrive. The blank line makes the client take the id, and
    # keeps the name from the event that follows.
    (ServerSentEvent(None, id="1"), "id: 1\n\n"),
    (ServerSentEvent(None, event="tick"), "event: tick\n\n"),
    (ServerSentEvent(None, id="1", retry=10), "id: 1\nretry: 10\n\n"),
    (ServerSentEvent(""), "data: \n\n"),
    # Nothing at all.
    (ServerSentEvent(None), ""),
]


@pytest.mark.parametrize(("element", "text"), ELEMENTS)
def test_an_element_is_sent_as_this_text(element: Any, text: str) -> None:
    encoder = SSEEncoder()
    assert encoded(encoder, [element]) == text.encode()
    assert not encoder.refused


class Size(enum.IntEnum):
    SMALL = 1


IDS: list[tuple[Any, str]] = [
    (5, "5"),
    (0, "0"),
    (-1, "-1"),
    (Size.SMALL, "1"),
    (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ("", ""),
]


@pytest.mark.parametrize(("id", "text"), IDS)
def test_an_id_may_be_a_number_or_a_uuid(id: Any, text: str) -> None:
    event = f"id: {text}\ndata: a\n\n".encode()
    assert encoded(SSEEncoder(), [ServerSentEvent("a", id=id)]) == event
    assert encoded(SSEEncoder(lambda element: element), [{"data": "a", "id": id}]) == event


@pytest.mark.parametrize("data", [b"\xff\x00", bytearray(b"\xff\x00"), memoryview(b"\xff\x00")])
def test_bytes_are_the_same_data_as_an_element_and_in_an_event(data: Any) -> None:
    """As everywhere else, in base64."""
    for element in (data, ServerSentEvent(data)):
        assert encoded(SSEEncoder(), [element]) == b'data: "/wA="\n\n'
    assert encoded(SSEEncoder(lambda data: {"data": data}), [data]) == b'data: "/wA="\n\n'


BESIDE_EVENTS: list[tuple[Any, str, str]] = [
    # A comment is lines by itself; so is a retry.
    (ServerSentEvent(None, comment="c"), ": c\n", ": c\n\n"),
    (ServerSentEvent(None, comment="c\nd"), ": c\n: d\n", ": c\n: d\n\n"),
    (ServerSentEvent(None, comment=""), ": \n", ": \n\n"),
    (ServerSentEvent(None, retry=10), "retry: 10\n", "retry: 10\n\n"),
    (ServerSentEvent(None, retry=10, comment="c"), ": c\nretry: 10\n", ": c\n\nretry: 10\n\n"),
    (object(), ": refused\n", ": refused\n\n"),
    (ServerSentEvent("a", id="1\n", comment="c"), ": refused\n", ": refused\n\n"),
    # What comes with an event ends with it, but for its comment.
    (ServerSentEvent("a", comment="c"), ": c\ndata: a\n\n", ": c\n\ndata: a\n\n"),
    (ServerSentEvent(None, id="1", comment="c"), ": c\nid: 1\n\n", ": c\n\nid: 1\n\n"),
    (ServerSentEvent("a", retry=10), "retry: 10\ndata: a\n\n", "retry: 10\ndata: a\n\n"),
    ("a", "data: a\n\n", "data: a\n\n"),
    (ServerSentEvent(None, id="1"), "id: 1\n\n", "id: 1\n\n"),
    (ServerSentEvent(None, event="tick"), "event: tick\n\n", "event: tick\n\n"),
    (ServerSentEvent(None), "", ""),
]


@pytest.mark.parametrize(("element", "text", "with_blank_lines"), BESIDE_EVENTS)
def test_a_blank_line_after_a_comment_is_only_for_those_who_need_it(
    element: Any, text: str, with_blank_lines: str
) -> None:
    """Who reads by hand may look for ``data:`` behind it; to others it may be an empty event."""
    assert encoded(SSEEncoder(), [element]) == text.encode()
    encoder = SSEEncoder(blank_after_comments=True)
    assert encoded(encoder, [element]) == with_blank_lines.encode()


def test_what_the_stream_itself_tells_ends_in_the_same_way() -> None:
    assert SSEEncoder().comment("heartbeat") == b": heartbeat\n"
    assert SSEEncoder().retry(1500) == b"retry: 1500\n"
    assert SSEEncoder(blank_after_comments=True).comment("heartbeat") == b": heartbeat\n\n"
    assert SSEEncoder(blank_after_comments=True).retry(1500) == b"retry: 1500\n\n"


@pytest.mark.parametrize(
    ("elements", "retry"),
    [
        ([], b"retry: 1500\n"),
        (["a", ServerSentEvent("a", id="1", comment="retry: 10")], b"retry: 1500\n"),
        # By itself, with an event; and long ago.
        ([ServerSentEvent(None, retry=10)], b""),
        ([ServerSentEvent("a", retry=0)], b""),
        ([ServerSentEvent("a", retry=10), *["a"] * 100], b""),
        # None of these was sent.
        ([ServerSentEvent("a", retry=-1)], b"retry: 1500\n"),
        ([ServerSentEvent(object(), retry=10)], b"retry: 1500\n"),
        ([ServerSentEvent("a", retry=10), ServerSentEvent(object(), retry=20)], b""),
    ],
)
def test_a_retry_of_the_applications_own_is_not_replaced_at_the_end(
    elements: list[Any], retry: bytes
) -> None:
    encoder = SSEEncoder()
    encoded(encoder, elements)
    assert encoder.retry(1500) == retry


def test_a_retry_that_serialize_gives_is_the_applications_own_as_well() -> None:
    encoder = SSEEncoder(lambda element: {"data": element, "retry": 10})
    encoded(encoder, ["a"])
    assert encoder.retry(1500) == b""


MAPPINGS: list[tuple[Mapping[str, Any], str]] = [
    ({"data": "a"}, "data: a\n\n"),
    ({"data": {"a": 1}, "event": "tick", "id": "1"}, 'event: tick\nid: 1\ndata: {"a":1}\n\n'),
    ({"comment": "c"}, ": c\n"),
    ({"retry": 10}, "retry: 10\n"),
]


@pytest.mark.parametrize(("fields", "text"), MAPPINGS)
def test_serialize_may_return_the_fields_of_an_event(fields: Mapping[str, Any], text: str) -> None:
    assert encoded(SSEEncoder(lambda element: element), [fields]) == text.encode()


def test_a_mapping_that_looks_like_an_event_is_sent_as_json_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamkit.log._said", set())
    plain = [{"data": "a", "price": 1}, {"id": 1}, {}, {1: 2}]
    encoded(SSEEncoder(), plain)
    encoded(SSEEncoder(lambda element: element), [{"data": "a", "id": "1"}])
    assert not caplog.messages
    for _ in range(2):
        assert encoded(SSEEncoder(), [{"data": "a", "id": "1"}, {"data": "b"}]) == (
            b'data: {"data":"a","id":"1"}\n\ndata: {"data":"b"}\n\n'
        )
    (said,) = caplog.messages
    assert "sent as JSON" in said
    assert "yield ServerSentEvent(**mapping), or pass serialize=dict" in said


def test_text_that_is_an_event_already_is_sent_as_data_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamkit.log._said", set())
    encoded(SSEEncoder(), ["data: a", "a\n\n"])
    assert not caplog.messages
    for _ in range(2):
        assert encoded(SSEEncoder(), ["data: a\n\n"]) == b"data: data: a\ndata: \ndata: \n\n"
    (said,) = caplog.messages
    assert "Yield the data alone, or a ServerSentEvent" in said


def test_an_event_of_another_library_is_refused_by_the_import_that_mends_it() -> None:
    other = type("ServerSentEvent", (), {"__module__": "fastapi.sse"})()
    encoder = SSEEncoder()
    assert encoded(encoder, [other]) == b": refused\n"
    (reason,) = encoder.refused
    assert str(reason) == (
        "an event must be streamkit's own, got one of fastapi.sse: "
        "from streamkit import ServerSentEvent"
    )


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
    ({"data": "a", "id": 1.0}, "id must be a str, an int or a UUID, got float"),
    ({"data": "a", "id": True}, "id must be a str, an int or a UUID, got bool"),
    ({"data": "a", "retry": -1}, "retry must not be negative, got -1"),
    ({"data": "a", "retry": True}, "retry must be an int of milliseconds, got bool"),
    ({"data": "a", "retry": 1.5}, "retry must be an int of milliseconds, got float"),
    ({"data": "a", "retry": "10"}, "retry must be an int of milliseconds, got str"),
    ({"data": "a", "comment": 1}, "comment must be a str, got int"),
    ({"data": 1j}, "data cannot be sent as JSON: a value of type complex cannot be encoded"),
    ({"data": "a", "evnt": "b"}, "'evnt' is not a field of an event"),
    ({"data": "a", 1: "b"}, "1 is not a field of an event"),
]


@pytest.mark.parametrize(("fields", "reason"), REFUSED)
def test_a_bad_event_costs_only_itself(fields: Any, reason: str) -> None:
    encoder = SSEEncoder(lambda element: element)
    body = encoded(encoder, [{"data": "before"}, fields, {"data": "after"}])
    assert body == b"data: before\n\n: refused\ndata: after\n\n"
    (error,) = encoder.refused
    assert type(error) is ValueError
    assert str(error).startswith(reason)


def test_an_element_that_has_no_json_form_costs_only_itself() -> None:
    encoder = SSEEncoder()
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    assert encoded(encoder, ["a", object(), cyclic, "b"]) == (
        b"data: a\n\n: refused\n: refused\ndata: b\n\n"
    )
    assert [str(error).partition(":")[0] for error in encoder.refused] == [
        "data cannot be sent as JSON",
        "data of type list cannot be sent as JSON",
    ]


def test_an_element_whose_own_code_raises_costs_only_itself() -> None:
    """A value is asked for its form, and may raise anything."""

    class Dump:
        def model_dump(self) -> Any:
            raise KeyError("k")

    class Dtype:
        """Without the ``str`` that those of numpy have, as pandas' own."""

    class Series:
        dtype = Dtype()

        def tolist(self) -> list[int]:
            return [1]

    encoder = SSEEncoder()
    assert encoded(encoder, ["a", {"v": Dump()}, {"v": Series()}, "b"]) == (
        b'data: a\n\n: refused\ndata: {"v":[1]}\n\ndata: b\n\n'
    )
    (reason,) = encoder.refused
    assert "KeyError('k')" in str(reason)


@pytest.mark.parametrize("returned", [None, 1, b"a", ["a"]])
def test_a_serialize_that_returns_no_event_breaks_off(returned: Any) -> None:
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


@pytest.mark.parametrize(
    "element",
    [element for element, _ in ELEMENTS] + [ServerSentEvent("a", id="\n"), "\ud800", object()],
    ids=repr,
)
@pytest.mark.parametrize("serialize", [None, str], ids=["as it is", "serialized"])
def test_one_event_is_what_a_batch_of_it_is(serialize: Any, element: Any) -> None:
    one, many = SSEEncoder(serialize), SSEEncoder(serialize)
    assert [one.encode_one(element)] == [*many.encode([element])]
    assert [*map(str, one.refused)] == [*map(str, many.refused)]
    assert one.repaired == many.repaired


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
        ("heartbeat", b": heartbeat\n"),
        ("dropped 3", b": dropped 3\n"),
        ("a\ndata: b", b": a\n: data: b\n"),
    ],
)
def test_a_comment_is_sent_as_these_lines(text: str, comment: bytes) -> None:
    assert SSEEncoder().comment(text) == comment


# What is special to the format, and to Python's idea of a line, more often than by chance.
ODD = "\r\n\0:\ufeff\u2028\x85\ud83d\ude00\udc00"
texts = st.text(st.sampled_from(ODD + "a"), max_size=6) | st.text(st.characters())
lines = texts.map(lambda text: re.sub("[\r\n]", "", text))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts,
    lambda values: st.lists(values) | st.dictionaries(texts, values),
    max_leaves=5,
)
events = st.builds(
    ServerSentEvent,
    data=texts | values,
    event=st.none() | lines | texts,
    id=st.none() | lines | texts | st.integers() | st.uuids(),
    retry=st.none() | st.integers(0, 2**70) | st.sampled_from([-1, 10**5000]),
    comment=st.none() | texts,
)


def scalar(text: str) -> str:
    """``text`` as UTF-8 can carry it (WHATWG Infra, "convert a string into a scalar string")."""
    pair = re.compile("([\ud800-\udbff])([\udc00-\udfff])|[\ud800-\udfff]")
    return pair.sub(
        lambda found: (
            chr(0x10000 + (ord(found[1]) - 0xD800) * 0x400 + ord(found[2]) - 0xDC00)
            if found[1]
            else "\ufffd"
        ),
        text,
    )


def scalars(value: Any) -> Any:
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, list):
        return [*map(scalars, value)]
    if isinstance(value, dict):
        return {scalar(key): scalars(each) for key, each in value.items()}
    return value


def can_be_sent(event: ServerSentEvent) -> bool:
    id = str(event.id or "")
    return (
        not {*"\r\n"} & {*(event.event or ""), *id}
        and "\0" not in id
        and 0 <= (event.retry or 0) < 10**5000
    )


@settings(derandomize=True, deadline=None, max_examples=3 * settings().max_examples)
@given(st.lists(events), st.lists(st.integers(1, 30), min_size=1), st.booleans())
def test_a_client_reads_what_was_sent(
    sent: list[ServerSentEvent], sizes: list[int], blank_after_comments: bool
) -> None:
    decoder = SSEDecoder()
    encoder = SSEEncoder(blank_after_comments=blank_after_comments)
    pieces = cut(encoded(encoder, sent), sizes)
    received = [event for piece in pieces for event in decoder.feed(piece)]

    expected: list[tuple[Any, str, str]] = []
    comments: list[str] = []
    last_event_id, retry = "", None
    for event in sent:
        if not can_be_sent(event):
            comments.append("refused")
            continue
        if event.comment is not None:
            comments += re.split("\r\n|\r|\n", scalar(event.comment))
        last_event_id = last_event_id if event.id is None else scalar(str(event.id))
        retry = retry if event.retry is None else event.retry
        if event.data is not None:
            data = scalars(event.data)
            if isinstance(data, str):
                data = re.sub("\r\n?", "\n", data)
            expected.append((data, scalar(event.event or "message"), last_event_id))
    data_of = [event.data for event in sent if can_be_sent(event) and event.data is not None]
    assert [
        (
            event.data if isinstance(data, str) else json.loads(event.data),
            event.type,
            event.last_event_id,
        )
        for event, data in zip(received, data_of, strict=True)
    ] == expected
    assert decoder.comments == comments
    assert decoder.last_event_id == last_event_id
    assert decoder.retry == retry
