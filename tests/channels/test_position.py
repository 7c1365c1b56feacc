"""What stands in the id of an event, and what a client may send in its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.channels.position import Position, ids, positions

LARGEST = 10**19 - 1

numbers = st.integers(0, LARGEST)
each = st.builds(Position, st.integers(1, LARGEST), numbers)


@given(st.lists(each, min_size=1, max_size=64))
def test_an_id_is_read_as_it_was_written(given_positions: list[Position]) -> None:
    assert positions(ids(given_positions), len(given_positions)) == given_positions


@pytest.mark.parametrize(
    ("event_id", "channels", "expected"),
    [
        ("1764150000123-41", 1, [(1764150000123, 41)]),
        ("1764150000123-0", 1, [(1764150000123, 0)]),
        ("7-1.9-0", 2, [(7, 1), (9, 0)]),
    ],
)
def test_an_id(event_id: str, channels: int, expected: list[tuple[int, int]]) -> None:
    assert positions(event_id, channels) == expected


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "41",
        "-41",
        "7-",
        "7-41 ",
        "7-041",
        "07-41",
        "0-41",
        "7-4_1",
        "7-+1",
        "7--1",
        "7-\u0661",
        "7-41\n",
        "7-41.",
        "7-41.8-3",
        "7-41.8-3.9-1",
        f"7-{10**19}",
        f"{10**19}-7",
        "." * 10_000,
    ],
)
def test_what_is_no_id_of_this_channel(event_id: str) -> None:
    assert positions(event_id, 1) is None


@pytest.mark.parametrize("event_id", ["7-41", "7-41.8", "7-41.8-3.9-1", "7-41.", ".7-41"])
def test_what_is_no_id_of_two_channels(event_id: str) -> None:
    assert positions(event_id, 2) is None


@given(st.text(), st.integers(1, 3))
def test_anything_may_be_sent(event_id: str, channels: int) -> None:
    found = positions(event_id, channels)
    assert found is None or ids(found) == event_id
