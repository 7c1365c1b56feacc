"""Other people's clients all read the same events, whatever is sent between these."""

from collections.abc import Mapping

import pytest
from clients.readers import READERS, READERS_OF_DATA, STREAM, received
from clients.script import COMMENTS, EVENTS, RETRY

from streamkit.testing import Event, SSEDecoder


@pytest.mark.parametrize("reader", READERS)
def test_a_client_reads_every_event_and_nothing_else(
    reader: str, origin: str, node: Mapping[str, str]
) -> None:
    assert [*READERS[reader](origin, node)] == EVENTS


@pytest.mark.parametrize("reader", READERS_OF_DATA)
def test_a_client_that_knows_nothing_but_data_reads_that_of_every_event(
    reader: str, origin: str
) -> None:
    assert [*READERS_OF_DATA[reader](origin)] == [Event(event.data) for event in EVENTS]


@pytest.mark.parametrize("headers", [STREAM, {}], ids=["Accept", "no Accept"])
def test_what_is_sent_between_the_events(headers: Mapping[str, str], origin: str) -> None:
    """Lest the clients had nothing to stumble over."""
    decoder = SSEDecoder()
    decoder.feed(received(f"{origin}/events", headers))
    beats = [comment for comment in decoder.comments if comment == "heartbeat"]
    assert len(beats) >= 2
    assert decoder.comments[0] == "heartbeat"
    assert [comment for comment in decoder.comments if comment != "heartbeat"] == COMMENTS
    assert decoder.retry == RETRY


def test_who_says_what_it_wants_gets_a_blank_line_behind_events_alone(origin: str) -> None:
    assert received(f"{origin}/events", STREAM).count(b"\n\n") == len(EVENTS)


def test_who_does_not_gets_no_event_behind_a_comment(origin: str) -> None:
    blocks = received(f"{origin}/events", {}).decode().split("\n\n")
    events = [block for block in blocks if "data: " in block]
    assert len(events) == len(EVENTS)
    assert all(event.startswith(("id: ", "event: ")) for event in events)
