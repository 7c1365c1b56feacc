"""The history of a channel, and what each of its subscribers gets of it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from streamkit.channels import cursor as cursors
from streamkit.channels import ring as rings
from streamkit.channels.cursor import Cursor, Gap
from streamkit.channels.frame import MAX_EVENT_BYTES
from streamkit.channels.position import Position
from streamkit.channels.ring import Ring
from streamkit.errors import FellBehind

EPOCH = 7


def filled(events: int, size: int = 0) -> Ring:
    ring = Ring(EPOCH)
    for number in range(1, events + 1):
        ring.append((b"data: %d%b\n" % (number, b"x" * size), False))
    return ring


def read(cursor: Cursor, *, is_slow: bool = False) -> tuple[Any, bytes]:
    """The gap and the bytes of one look."""
    gap = cursor.skip(is_slow)
    return gap, b"" if cursor.is_at_head else cursor.read()[0]


class TestHistory:
    def test_an_event_is_kept_as_it_is_sent(self) -> None:
        ring = Ring(EPOCH)
        assert ring.position == (EPOCH, 0)
        assert ring.append((b"event: x\ndata: 1\n", False)) == "7-1"
        assert ring.read(0) == (b"event: x\ndata: 1\nid: 7-1\n\n", 1)
        assert ring.frame(1) == (b"event: x\ndata: 1\n", False)

    def test_all_who_are_at_the_same_place_get_the_same_bytes(self) -> None:
        ring = filled(5)
        assert ring.read(4)[0] is ring.read(4)[0]
        assert ring.read(2)[0] is ring.read(2)[0]
        joined, last = ring.read(2)
        assert joined == b"".join(b"data: %d\nid: 7-%d\n\n" % (n, n) for n in (3, 4, 5))
        assert last == 5

    def test_what_was_joined_is_not_taken_for_more(self) -> None:
        ring = filled(3)
        ring.read(0)
        ring.append((b"data: 4\n", False))
        assert ring.read(0)[1] == 4
        assert ring.read(1)[0].startswith(b"data: 2\n")

    def test_it_holds_the_latest_thousand(self) -> None:
        ring = filled(1_234)
        assert (ring.first, ring.head) == (235, 1_234)
        assert ring.holds(234)
        assert not ring.holds(233)

    def test_large_events_shorten_it_to_four_mib(self) -> None:
        ring = filled(100, size=100_000)
        assert ring.head - ring.first + 1 == 41
        assert 4_000_000 < ring.size <= 4 * 1024 * 1024

    def test_the_largest_shorten_it_to_sixteen(self) -> None:
        ring = Ring(EPOCH)
        for _ in range(40):
            ring.append((b"x" * MAX_EVENT_BYTES, True))
        assert ring.head - ring.first + 1 == 16

    def test_it_knows_its_bytes(self) -> None:
        ring = filled(2_000, size=10)
        held = range(ring.first, ring.head + 1)
        assert ring.size == sum(len(ring.entries[number][0]) for number in held)

    def test_a_replay_comes_in_pieces(self) -> None:
        ring = filled(100, size=10_000)
        sizes = []
        last = 0
        while last < ring.head:
            wire, last = ring.read(last)
            sizes.append(len(wire))
        assert max(sizes) <= 64 * 1024
        assert len(sizes) == 17


class TestSubscribers:
    def test_one_without_an_id_gets_what_comes(self) -> None:
        ring = filled(3)
        cursor = Cursor(ring, None)
        assert cursor.is_at_head
        ring.append((b"data: new\n", False))
        assert read(cursor) == (None, b"data: new\nid: 7-4\n\n")
        assert cursor.is_at_head

    @pytest.mark.parametrize("number", [0, 5, 935, 998, 999])
    def test_one_that_comes_back_is_replayed_all_of_the_history(self, number: int) -> None:
        ring = filled(999)
        cursor = Cursor(ring, Position(EPOCH, number))
        gap, _ = read(cursor, is_slow=True)
        assert gap is None
        assert cursor.number == 999

    def test_one_that_comes_back_too_late_gets_a_gap_and_the_latest(self) -> None:
        ring = filled(1_500)
        cursor = Cursor(ring, Position(EPOCH, 499))
        assert read(cursor)[0] == Gap(1_500 - 64 - 499, Position(EPOCH, 1_436), False)
        assert cursor.number == 1_500

    @pytest.mark.parametrize(
        "after",
        [Position(EPOCH + 1, 5), Position(EPOCH - 1, 100), Position(EPOCH, 101), Position(0, 0)],
        ids=["later epoch", "earlier epoch", "future", "nowhere"],
    )
    def test_one_from_elsewhere_gets_a_gap_of_unknown_length(self, after: Position) -> None:
        cursor = Cursor(filled(100), after)
        gap, wire = read(cursor)
        assert gap == Gap(None, Position(EPOCH, 36), False)
        assert wire.startswith(b"data: 37\n")

    def test_one_from_elsewhere_is_told_so_where_there_is_nothing(self) -> None:
        cursor = Cursor(Ring(EPOCH), Position(3, 2))
        assert not cursor.is_at_head
        assert read(cursor) == (Gap(None, Position(EPOCH, 0), False), b"")
        assert cursor.is_at_head

    @pytest.mark.parametrize(
        ("behind", "is_slow", "missed"), [(64, True, None), (65, True, 1), (900, False, None)]
    )
    def test_one_that_is_slow_misses_what_is_older_than_the_latest(
        self, behind: int, is_slow: bool, missed: int | None
    ) -> None:
        ring = filled(3)
        cursor = Cursor(ring, None)
        for _ in range(behind):
            ring.append((b"data: new\n", False))
        gap, _ = read(cursor, is_slow=is_slow)
        assert gap == (missed and Gap(missed, Position(EPOCH, 3 + behind - 64), True))
        assert cursor.is_at_head

    def test_one_that_is_replayed_may_be_slow_until_it_has_caught_up(self) -> None:
        ring = filled(900, size=1_000)
        cursor = Cursor(ring, Position(EPOCH, 0))
        while not cursor.is_at_head:
            assert read(cursor, is_slow=True)[0] is None
        for _ in range(65):
            ring.append((b"data: new\n", False))
        assert read(cursor, is_slow=True)[0] is not None

    def test_one_that_is_outrun_gets_a_gap_however_fast_it_is(self) -> None:
        ring = filled(3)
        cursor = Cursor(ring, None)
        for _ in range(5_000):
            ring.append((b"data: new\n", False))
        assert read(cursor)[0] == Gap(4_936, Position(EPOCH, 4_939), True)

    def test_a_lossless_one_is_never_too_slow(self) -> None:
        ring = filled(3)
        cursor = Cursor(ring, None, is_lossless=True)
        for _ in range(1_000):
            ring.append((b"data: new\n", False))
        assert read(cursor, is_slow=True)[0] is None
        assert cursor.number == 1_003

    def test_a_lossless_one_is_broken_off_once_the_history_has_passed_it(self) -> None:
        ring = filled(3)
        cursor = Cursor(ring, None, is_lossless=True)
        for _ in range(1_001):
            ring.append((b"data: new\n", False))
        with pytest.raises(FellBehind):
            cursor.skip()

    def test_a_lossless_one_that_comes_back_too_late_is_told_of_the_gap(self) -> None:
        ring = filled(1_500)
        cursor = Cursor(ring, Position(EPOCH, 3), is_lossless=True)
        assert read(cursor)[0] == Gap(1_433, Position(EPOCH, 1_436), False)


@dataclass
class Client:
    """What a client makes of what it is sent, and nothing else."""

    cursor: Cursor
    number: int
    known_from: int
    has_caught_up: bool
    is_lossless: bool
    told: list[str] = field(default_factory=list)
    is_broken_off: bool = False


class Machine(RuleBasedStateMachine):
    """Numbers that count up without a hole, or a gap that says how many, for every subscriber."""

    @initialize()
    def begin(self) -> None:
        self.ring = Ring(EPOCH)
        self.sizes: list[int] = []
        self.clients: list[Client] = []

    @rule(sizes=st.lists(st.sampled_from([1, 10, 90]), min_size=1, max_size=15))
    def publish(self, sizes: list[int]) -> None:
        for size in sizes:
            self.ring.append((b"x" * size, True))
            self.sizes.append(size)

    @rule(is_lossless=st.booleans())
    def subscribe(self, is_lossless: bool) -> None:
        cursor = Cursor(self.ring, None, is_lossless=is_lossless)
        assert cursor.position == self.ring.position
        self.clients.append(Client(cursor, self.ring.head, self.ring.head, True, is_lossless))

    @rule(data=st.data(), is_lossless=st.booleans())
    def come_back(self, data: st.DataObject, is_lossless: bool) -> None:
        number = data.draw(st.integers(0, len(self.sizes)))
        cursor = Cursor(self.ring, Position(EPOCH, number), is_lossless=is_lossless)
        client = Client(cursor, number, number, number == self.ring.head, is_lossless)
        self.clients.append(client)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), is_slow=st.booleans(), one_by_one=st.booleans())
    def look(self, data: st.DataObject, is_slow: bool, one_by_one: bool) -> None:
        client = data.draw(st.sampled_from(self.clients))
        if client.is_broken_off:
            return
        cursor, head = client.cursor, self.ring.head
        held = self.ring.first - 1 <= client.number
        has_begun = bool(client.told) or client.has_caught_up
        if not held and client.is_lossless and has_begun:
            with pytest.raises(FellBehind):
                cursor.skip(is_slow)
            client.is_broken_off = True
            return
        gap = cursor.skip(is_slow)
        too_slow = is_slow and client.has_caught_up and head - client.number > rings.LATEST
        assert (gap is not None) == (not held or (too_slow and not client.is_lossless))
        if gap is not None:
            assert gap.missed == gap.position.number - client.number > 0
            assert gap.position.number == max(head - rings.LATEST, self.ring.first - 1)
            assert gap.was_connected == has_begun
            client.number = gap.position.number
        client.told.append("looked")
        if cursor.is_at_head:
            assert client.number == head
            return
        if one_by_one:
            assert cursor.read_one() == (b"x" * self.sizes[client.number], True)
            client.number += 1
        else:
            wire, events = cursor.read()
            expected = range(client.number + 1, client.number + 1 + events)
            assert wire == b"".join(
                b"%bid: 7-%d\n\n" % (b"x" * self.sizes[number - 1], number) for number in expected
            )
            client.number += events
            assert client.number == head or len(wire) + 110 > rings.MAX_PIECE
        client.has_caught_up |= client.number == head

    @invariant()
    def the_history_is_bounded(self) -> None:
        events = self.ring.head - self.ring.first + 1
        assert self.ring.head == len(self.sizes)
        assert events <= rings.MAX_EVENTS
        assert self.ring.size == self.bytes_from(self.ring.first)
        assert self.ring.size <= rings.MAX_BYTES or events == rings.MIN_EVENTS
        # It lets go of no more than it must.
        if self.ring.first > 1 and events < rings.MAX_EVENTS:
            assert self.bytes_from(self.ring.first - 1) > rings.MAX_BYTES

    def bytes_from(self, first: int) -> int:
        """Of all events from this number on, as they are sent."""
        numbers = range(first, len(self.sizes) + 1)
        return sum(self.sizes[number - 1] + len(f"id: {EPOCH}-{number}\n\n") for number in numbers)

    @invariant()
    def every_client_is_where_its_cursor_is(self) -> None:
        for client in self.clients:
            assert client.is_broken_off or client.cursor.number == client.number


def test_no_subscriber_misses_anything_that_it_is_not_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (
        ("MAX_EVENTS", 20),
        ("MAX_BYTES", 500),
        ("MIN_EVENTS", 3),
        ("MAX_PIECE", 200),
        ("LATEST", 6),
    ):
        monkeypatch.setattr(rings, name, value)
    monkeypatch.setattr(cursors, "LATEST", 6)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=2 * settings().max_examples, stateful_step_count=50, deadline=None
        ),
    )
