"""When a stream beats and retires, by a clock; what becomes of a batch is in ``test_chunks``."""

from dataclasses import replace
from math import inf

import pytest

from streamkit.kind import DOWNLOAD, EXPORT, SSE, Kind
from streamkit.stream.batches import SLICE_SECONDS, Agenda, Slice

LIVE = replace(SSE, heartbeat=30.0, max_age=3600.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agenda(clock: Clock) -> Agenda:
    agenda = Agenda(LIVE, clock)
    agenda.begin()
    return agenda


@pytest.mark.parametrize("kind", [DOWNLOAD, EXPORT], ids=lambda kind: kind.name)
def test_a_kind_that_is_not_live_is_never_due(kind: Kind, clock: Clock) -> None:
    agenda = Agenda(kind, clock)
    agenda.begin()
    clock.now += 1e9
    agenda.beat()
    assert agenda.due == inf
    assert not agenda.is_heartbeat_due(has_elements=False)
    assert not agenda.retires()


def test_nothing_is_due_before_the_first_chunk_is_asked_for(clock: Clock) -> None:
    agenda = Agenda(LIVE, clock)
    clock.now += 1e9
    assert agenda.due == inf
    assert not agenda.is_heartbeat_due(has_elements=False)
    assert not agenda.retires()


def test_a_silent_stream_beats_after_a_tenth_of_a_second_and_then_every_heartbeat(
    agenda: Agenda, clock: Clock
) -> None:
    assert agenda.due == pytest.approx(clock.now + 0.1)
    assert not agenda.is_heartbeat_due(has_elements=False)
    clock.now += 0.1
    assert agenda.is_due()
    assert agenda.is_heartbeat_due(has_elements=False)
    assert agenda.due == pytest.approx(clock.now + 30)
    clock.now += 29
    assert not agenda.is_heartbeat_due(has_elements=False)
    clock.now += 1
    assert agenda.is_heartbeat_due(has_elements=False)


def test_one_that_speaks_first_needs_no_early_heartbeat(agenda: Agenda, clock: Clock) -> None:
    clock.now += 0.05
    assert not agenda.is_heartbeat_due(has_elements=True)
    assert agenda.due == pytest.approx(clock.now + 30)


def test_events_do_not_put_a_heartbeat_off(agenda: Agenda, clock: Clock) -> None:
    assert not agenda.is_heartbeat_due(has_elements=True)
    for _ in range(29):
        clock.now += 1
        assert not agenda.is_heartbeat_due(has_elements=True)
    clock.now += 1
    assert agenda.is_heartbeat_due(has_elements=True)


def test_a_heartbeat_may_be_asked_for(agenda: Agenda) -> None:
    agenda.beat()
    assert agenda.is_due()
    assert agenda.is_heartbeat_due(has_elements=False)


def test_it_retires_when_it_is_an_hour_old_give_or_take_a_tenth(
    agenda: Agenda, clock: Clock
) -> None:
    clock.now += 3239
    assert not agenda.retires()
    clock.now += 722
    assert agenda.retires()


def test_it_retires_at_once_when_it_is_told_to(agenda: Agenda) -> None:
    agenda.retire()
    assert agenda.retires()


def test_one_that_was_retired_before_it_began_stays_so(clock: Clock) -> None:
    agenda = Agenda(LIVE, clock)
    agenda.retire()
    agenda.begin()
    assert agenda.retires()


def test_an_element_goes_out_alone_until_something_is_due(agenda: Agenda, clock: Clock) -> None:
    """Not before the first, which takes the place of an early heartbeat."""
    assert agenda.plain_until == -inf
    agenda.is_heartbeat_due(has_elements=True)
    assert agenda.plain_until == agenda.due == pytest.approx(clock.now + 30)
    agenda.beat()
    assert agenda.plain_until == clock.now
    agenda.is_heartbeat_due(has_elements=False)
    assert agenda.plain_until == pytest.approx(clock.now + 30)
    agenda.retire()
    assert agenda.plain_until == -inf


@pytest.mark.parametrize("kind", [DOWNLOAD, EXPORT], ids=lambda kind: kind.name)
def test_an_element_of_a_kind_that_is_not_live_may_not_be_all_that_goes_out(
    kind: Kind, clock: Clock
) -> None:
    """Something begins the body, and something ends it."""
    agenda = Agenda(kind, clock)
    agenda.begin()
    assert agenda.plain_until == -inf


class TestSlices:
    def test_a_slice_grows_as_long_as_it_is_soon_encoded(self, clock: Clock) -> None:
        slice_ = Slice(clock)
        slice_.begin()
        for size in (1, 2, 4, 8):
            assert slice_.size == size
            assert not slice_.is_over(size)
        slice_.is_over(3)
        assert slice_.size == 16

    def test_it_shrinks_to_what_is_encoded_in_its_time(self, clock: Clock) -> None:
        slice_ = Slice(clock)
        slice_.begin()
        clock.now += SLICE_SECONDS * 10
        assert slice_.is_over(100)
        assert slice_.size in (9, 10)
        clock.now += SLICE_SECONDS * 100
        assert slice_.is_over(10)
        assert slice_.size == 1

    def test_others_have_their_turn_after_many_short_slices_as_well(self, clock: Clock) -> None:
        slice_ = Slice(clock)
        slice_.begin()
        clock.now += SLICE_SECONDS * 0.75
        assert not slice_.is_over(1)
        clock.now += SLICE_SECONDS * 0.75
        assert slice_.is_over(2)
        slice_.begin()
        assert not slice_.is_over(4)
