"""The buffer as a state machine, against a model; then each of its promises by an example."""

from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamkit.kind import DOWNLOAD, EXPORT, MAX_BUFFERED_BYTES, SSE, Kind
from streamkit.stream.buffer import MAX_AWAY, Buffer

MIB = 1024 * 1024


class CountingWake:
    def __init__(self) -> None:
        self.armed = False
        self.notified = 0

    def notify(self) -> None:
        self.armed = False
        self.notified += 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_buffer(kind: Kind) -> tuple[Buffer, CountingWake, CountingWake, Clock]:
    readable, writable, clock = CountingWake(), CountingWake(), Clock()
    return Buffer(kind, readable, writable, clock), readable, writable, clock


class Blob(bytes):
    """Bytes that are not printed in full when an example is."""

    def __repr__(self) -> str:
        return f"Blob({len(self)})"


BLOBS = [Blob(1), Blob(MIB), Blob(3 * MIB)]


def size(element: Any) -> int:
    return len(element) if isinstance(element, bytes) else 0


class BufferMachine(RuleBasedStateMachine):
    """Whatever the order of calls, the buffer does what a plain list with the same rules does."""

    @initialize(
        kind=st.sampled_from([SSE, DOWNLOAD, EXPORT]),
        capacity=st.integers(min_value=1, max_value=5),
    )
    def create(self, kind: Kind, capacity: int) -> None:
        self.kind = replace(kind, capacity=capacity)
        self.buffer, self.readable, self.writable, self.clock = make_buffer(self.kind)
        self.model: deque[Any] = deque()
        self.taken = self.dropped = self.accepted = 0
        self.away_since: float | None = None
        self.dropping = self.refused = self.ended = self.abandoned = False

    def has_room(self, element: Any) -> bool:
        if len(self.model) >= self.kind.capacity:
            return False
        held = sum(map(size, self.model))
        return not self.model or not size(element) or held + size(element) <= MAX_BUFFERED_BYTES

    @precondition(lambda self: not self.ended)
    @rule(element=st.one_of(st.integers(), st.sampled_from(BLOBS)))
    def offer(self, element: Any) -> None:
        taken = self.buffer.offer(element)
        if self.abandoned:
            assert not taken
            return
        if not self.has_room(element) and self.kind.strategy == "sliding":
            if self.away_since is not None:
                self.dropping |= self.clock.now >= self.away_since + MAX_AWAY
            while self.dropping and not self.has_room(element):
                self.model.popleft()
                self.dropped += 1
        room = self.has_room(element)
        assert taken is room
        self.refused |= not room
        if room:
            self.model.append(element)
            self.accepted += 1
            assert not self.readable.armed

    @precondition(lambda self: not self.ended)
    @rule(elements=st.lists(st.one_of(st.integers(), st.sampled_from(BLOBS))))
    def take_from(self, elements: list[Any]) -> None:
        iterator = iter(elements)
        first = self.buffer.take_from(iterator, "end")
        rest = [*iterator] if first == "end" else [first, *iterator]
        taken = elements[: len(elements) - len(rest)]
        assert not self.abandoned or not taken
        for element in taken:
            assert type(element) is int
            assert self.has_room(element)
            self.model.append(element)
            self.accepted += 1
            assert not self.readable.armed

    @precondition(lambda self: self.ended)
    @rule()
    def offer_after_the_end(self) -> None:
        with pytest.raises(RuntimeError):
            self.buffer.offer(1)

    @rule()
    def drain(self) -> None:
        assert self.buffer.drain() == list(self.model)
        assert not self.writable.armed
        self.taken += len(self.model)
        self.model.clear()
        self.away_since = None
        self.dropping = self.refused = False

    @rule(told=st.booleans())
    def take_latest(self, told: bool) -> None:
        def encode(element: Any) -> bytes:
            assert element == self.model[0]
            # It is away once this is done, however long it takes.
            self.clock.now += MAX_AWAY
            return b"encoded"

        known = self.dropped if told else self.dropped - 1
        chunk = self.buffer.take_latest(known, encode)
        if len(self.model) != 1 or not told:
            assert chunk is None
            return
        assert chunk == b"encoded"
        assert self.buffer.away_since == self.clock.now
        assert not self.writable.armed
        self.taken += 1
        self.model.clear()
        self.away_since = self.clock.now
        self.dropping = self.refused = False

    @rule()
    def come_back(self) -> None:
        self.buffer.away_since = None
        self.away_since = None

    @rule()
    def hand_over(self) -> None:
        self.buffer.away_since = self.clock.now
        self.away_since = self.clock.now

    @precondition(lambda self: self.refused)
    @rule()
    def the_producer_waits(self) -> None:
        self.writable.armed = True

    @precondition(lambda self: not self.model)
    @rule()
    def the_consumer_waits(self) -> None:
        self.readable.armed = True

    @rule(error=st.sampled_from([None, ValueError()]))
    def end(self, error: BaseException | None) -> None:
        if self.ended:
            with pytest.raises(RuntimeError):
                self.buffer.end(error)
            return
        self.buffer.end(error)
        self.ended = True
        assert self.buffer.error is error

    @rule()
    def abandon(self) -> None:
        self.buffer.abandon()
        self.abandoned = True
        self.taken += len(self.model)
        self.model.clear()

    @rule(seconds=st.sampled_from([0.01, MAX_AWAY / 2, MAX_AWAY]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def agrees_with_the_model(self) -> None:
        buffer = self.buffer
        assert buffer.ended == self.ended
        assert buffer.abandoned == self.abandoned
        assert buffer.readable_now() == bool(self.model or self.ended or self.abandoned)
        assert buffer.writable_now() == (not self.refused or self.abandoned)
        assert (buffer.offered, buffer.dropped) == (self.accepted, self.dropped)
        assert buffer.offered == self.taken + buffer.dropped + len(self.model)
        assert len(self.model) <= self.kind.capacity
        held = sum(map(size, self.model))
        assert held <= MAX_BUFFERED_BYTES or len(self.model) == 1


TestBufferMachine = BufferMachine.TestCase


class Named:
    def __init__(self, text: str) -> None:
        self.text = text


def fill(buffer: Buffer, count: int) -> None:
    for element in range(count):
        assert buffer.offer(element)


@pytest.mark.parametrize("kind", [DOWNLOAD, EXPORT], ids=lambda kind: kind.name)
def test_a_full_suspending_buffer_refuses_until_a_drain_however_long_it_takes(kind: Kind) -> None:
    buffer, _, _, clock = make_buffer(kind)
    fill(buffer, kind.capacity)
    clock.now += 3600
    assert not buffer.offer("one more")
    assert buffer.seconds_until_drop() is None
    assert buffer.drain() == list(range(kind.capacity))
    assert buffer.offer("one more")
    assert buffer.dropped == 0


def test_a_full_sliding_buffer_drops_the_oldest_once_its_consumer_is_away_a_tenth_of_a_second() -> (
    None
):
    buffer, _, _, clock = make_buffer(SSE)
    buffer.away_since = clock.now
    fill(buffer, 64)
    assert not buffer.offer(64)
    assert buffer.seconds_until_drop() == pytest.approx(0.1)
    clock.now += 0.1
    assert buffer.offer(64)
    assert buffer.drain() == list(range(1, 65))
    assert buffer.dropped == 1


def test_a_sliding_buffer_goes_on_dropping_without_waiting_until_the_next_drain() -> None:
    buffer, _, _, clock = make_buffer(SSE)
    buffer.away_since = clock.now
    fill(buffer, 64)
    clock.now += 0.1
    fill(buffer, 1000)
    assert buffer.dropped == 1000
    buffer.drain()
    buffer.away_since = clock.now
    fill(buffer, 64)
    assert not buffer.offer("waits again")


def test_a_sliding_buffer_waits_for_a_consumer_that_is_there_however_late_that_runs() -> None:
    buffer, _, _, clock = make_buffer(SSE)
    buffer.away_since = clock.now
    buffer.drain()
    fill(buffer, 64)
    clock.now += 600
    assert not buffer.offer("refused, and not at the cost of the oldest")
    assert buffer.seconds_until_drop() == 0.1


def test_large_elements_fill_the_buffer_by_their_bytes() -> None:
    buffer, *_ = make_buffer(DOWNLOAD)
    for _ in range(4):
        assert buffer.offer(bytes(MIB))
    assert not buffer.offer(b"x")
    buffer.drain()
    assert buffer.offer(b"x")


def test_an_element_larger_than_the_buffer_is_held_alone() -> None:
    buffer, *_ = make_buffer(DOWNLOAD)
    assert buffer.offer(bytes(16 * MIB))
    assert not buffer.offer(b"x")


def test_text_counts_by_its_length_and_drops_make_room() -> None:
    buffer, _, _, clock = make_buffer(SSE)
    buffer.away_since = clock.now
    for letter in "abcd":
        assert buffer.offer(letter * MIB)
    assert not buffer.offer("e" * 2 * MIB)
    clock.now += 0.1
    assert buffer.offer("e" * 2 * MIB)
    assert [text[0] for text in buffer.drain()] == ["c", "d", "e"]
    assert buffer.dropped == 2


@pytest.mark.parametrize("wrap", [bytearray, memoryview], ids=["bytearray", "memoryview"])
def test_what_a_source_may_overwrite_is_copied(wrap: Any) -> None:
    reused = bytearray(b"first")
    buffer, *_ = make_buffer(DOWNLOAD)
    buffer.offer(reused if wrap is bytearray else memoryview(reused))
    reused[:] = b"xxxxx"
    assert buffer.drain() == [b"first"]


def test_an_abandoned_buffer_lets_go_of_everything_and_wakes_both_sides() -> None:
    buffer, readable, writable, _ = make_buffer(EXPORT)
    fill(buffer, 3)
    before = readable.notified, writable.notified
    buffer.abandon()
    assert (readable.notified, writable.notified) == (before[0] + 1, before[1] + 1)
    assert buffer.drain() == []
    assert not buffer.offer(1)
    assert buffer.readable_now()
    assert buffer.writable_now()


def test_a_buffer_may_be_abandoned_by_another_thread_while_the_producer_makes_room() -> None:
    buffer, _, _, clock = make_buffer(SSE)
    buffer.away_since = clock.now
    fill(buffer, 64)
    clock.now += 0.1

    def abandon_meanwhile() -> float:
        buffer.abandon()
        return clock.now

    buffer._clock = abandon_meanwhile
    assert not buffer.offer("one more")


@pytest.mark.parametrize(
    "row",
    [{"text": "x" * 3 * MIB}, ["x" * 3 * MIB], Named("x" * 3 * MIB)],
    ids=["dict", "list", "object"],
)
def test_few_rows_are_held_of_those_that_are_large(row: Any) -> None:
    buffer, *_ = make_buffer(EXPORT)
    fill(buffer, 2)
    held = 2
    while buffer.offer(row):
        held += 1
    assert held == 4
    buffer.drain()
    assert buffer.offer(row)
    assert buffer.offer(row)
    assert not buffer.offer(row)


def test_as_many_rows_as_ever_are_held_once_they_are_small_again() -> None:
    buffer, *_ = make_buffer(EXPORT)
    while buffer.offer({"text": "x" * 3 * MIB}):
        pass
    buffer.drain()
    fill(buffer, EXPORT.capacity)
    assert not buffer.offer(1)
