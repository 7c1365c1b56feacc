"""The channels of a process together: what they take, and when they go."""

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from combinations import value
from prometheus_client import CollectorRegistry

from streamkit import Channel, metrics
from streamkit.channels import hubs as hubs_
from streamkit.channels import memory as memories
from streamkit.channels.frame import frame_of
from streamkit.channels.memory import Memory
from streamkit.channels.position import Position

KIB = 1024


class Clock:
    """time, as the module uses it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return 1_764_150_000_123_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(memories, "time", clock)
    monkeypatch.setattr(hubs_, "time", clock)
    monkeypatch.setattr("streamkit.channels.hub.time", clock)
    return clock


def names(memory: Memory) -> set[str]:
    return {*memory._hubs._hubs}


def position(memory: Memory, name: str) -> Position:
    (found,) = memory.positions([name])
    return found


def epoch(event_id: str) -> str:
    return event_id.partition("-")[0]


class TestEpochs:
    def test_the_first_look_begins_one(self) -> None:
        memory = Memory()
        begin = position(memory, "a")
        assert begin.number == 0
        assert memory.publish("a", frame_of(1)) == f"{begin.epoch}-1"

    @pytest.mark.usefixtures("clock")
    def test_no_two_are_the_same(self) -> None:
        """Not of two channels, nor of two processes, in the same millisecond."""
        first, second = Memory(), Memory()
        epochs = [position(memory, str(n)).epoch for memory in (first, second) for n in range(100)]
        assert len({*epochs}) == 200
        assert epochs[:100] == sorted(epochs[:100])

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
    def test_a_child_has_others(self) -> None:
        channel = Channel("test-fork")
        inherited = channel.publish("of the parent")
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, channel.last_event_id().encode())
            os._exit(0)
        os.waitpid(child, 0)
        of_child = os.read(reading, 100).decode()
        assert of_child.endswith("-0")
        assert epoch(of_child) != epoch(inherited)
        assert channel.last_event_id() == inherited
        os.close(reading)
        os.close(writing)


class TestLettingGo:
    def test_one_that_nobody_uses_is_kept_for_three_hours(self, clock: Clock) -> None:
        memory = Memory()
        memory.publish("old", frame_of(1))
        clock.now += 3 * 3600
        position(memory, "other")
        assert names(memory) == {"old", "other"}
        clock.now += 61
        position(memory, "other")
        assert names(memory) == {"other"}

    def test_a_look_or_an_event_keeps_it(self, clock: Clock) -> None:
        memory = Memory()
        first = position(memory, "a")
        for _ in range(10):
            clock.now += 2 * 3600
            assert position(memory, "a") == first

    def test_one_that_is_listened_to_stays(self, clock: Clock) -> None:
        memory = Memory()
        first = memory.publish("a", frame_of(1))
        hub, _, _ = memory.listen("a", None, None)
        clock.now += 100 * 3600
        position(memory, "other")
        assert names(memory) == {"a", "other"}
        memory.release(hub, None)
        clock.now += 3 * 3600
        position(memory, "other")
        assert str(position(memory, "a")) == first

    def test_one_that_comes_again_has_a_new_epoch(self, clock: Clock) -> None:
        memory = Memory()
        first = position(memory, "a")
        clock.now += 4 * 3600
        position(memory, "other")
        assert position(memory, "a").epoch > first.epoch


class TestBounds:
    @pytest.fixture(autouse=True)
    def _little(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hubs_, "MAX_BYTES", 100 * KIB)

    def filled(self, memory: Memory, name: str, kibibytes: int) -> None:
        for _ in range(kibibytes):
            memory.publish(name, (b"x" * KIB, True))

    def weight(self, memory: Memory) -> int:
        held = sum(hub.ring.weight for hub in memory._hubs._hubs.values())
        assert held == memory._hubs._weight
        return held

    def test_the_one_longest_without_a_listener_goes_first(self) -> None:
        memory = Memory()
        hubs: list[Any] = [memory.listen(name, None, None)[0] for name in "abc"]
        for name in "abc":
            self.filled(memory, name, 15)
        for hub in (hubs[1], hubs[0], hubs[2]):
            memory.release(hub, None)
        self.filled(memory, "d", 40)
        assert names(memory) == {"a", "c", "d"}
        self.filled(memory, "d", 20)
        assert names(memory) == {"c", "d"}
        assert self.weight(memory) <= 100 * KIB

    def test_where_all_are_listened_to_their_histories_are_shorter(self) -> None:
        memory = Memory()
        for name in "abc":
            memory.listen(name, None, None)
            self.filled(memory, name, 100)
        assert names(memory) == {*"abc"}
        assert self.weight(memory) <= 100 * KIB

    def test_where_all_are_listened_to_each_loses_as_much(self) -> None:
        memory = Memory()
        channels = [f"{number}" for number in range(20)]
        for name in channels:
            memory.listen(name, None, None)
        for _ in range(16):
            for name in channels:
                self.filled(memory, name, 1)
        assert self.weight(memory) <= 100 * KIB
        left = [len(memory._hubs._hubs[name].ring.entries) for name in channels]
        assert max(left) - min(left) <= 1 <= min(left)

    def test_who_listens_gets_the_latest_event_all_the_same(self) -> None:
        memory = Memory()
        rings = [memory.listen(f"{number}", None, None)[1] for number in range(200)]
        for number in range(200):
            self.filled(memory, f"{number}", 3)
        assert {len(ring.entries) for ring in rings} == {1}
        assert all(ring.holds(2) for ring in rings)

    def test_the_last_one_alone_is_shortened(self) -> None:
        memory = Memory()
        self.filled(memory, "a", 200)
        assert names(memory) == {"a"}
        assert self.weight(memory) <= 100 * KIB

    def test_channels_without_events_are_bounded_too(self) -> None:
        memory = Memory()
        for number in range(10_000):
            position(memory, str(number))
        assert len(names(memory)) == 100
        assert "9999" in names(memory)
        assert self.weight(memory) <= 100 * KIB


def interrupted(call: Callable[[], object], at: int, handler: Callable[[], object]) -> bool:
    """Whether there was a call or a return ``at`` so many, within which ``handler`` was called.

    There Python runs handlers of signals, and finalizers.
    """
    seen = 0

    def count(frame: Any, event: str, arg: object) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            handler()

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen >= at


class TestInterruptions:
    """One that publishes in the middle of another call of its thread: a signal's handler."""

    FRAME = frame_of("x" * KIB)

    def publish(self, memory: Memory, name: str, ids: list[str]) -> None:
        ids.append(memory.publish(name, self.FRAME))

    def checked(self, memory: Memory, name: str, events: list[str]) -> None:
        """``events`` are the latest of the channel, in order, and all that it takes is counted."""
        assert len({*events}) == len(events)
        ring = memory._hubs._hubs[name].ring
        assert {*events} == {f"{ring.epoch}-{ring.head - n}" for n in range(len(events))}
        assert [*ring.entries] == [*range(ring.first, ring.head + 1)]
        for number, (wire, _) in ring.entries.items():
            assert wire.endswith(b"id: %d-%d\n\n" % (ring.epoch, number))
        assert ring.size == sum(len(wire) for wire, _ in ring.entries.values())
        hubs = memory._hubs
        assert hubs._weight == sum(hub.ring.weight for hub in hubs._hubs.values())
        assert {*hubs._idle} == {name for name, hub in hubs._hubs.items() if not hub.listeners}

    @pytest.mark.parametrize("events", [0, 1, 1_000], ids=["new", "short", "full"])
    def test_both_events_are_there(self, events: int) -> None:
        at = 0
        is_interrupted = True
        while is_interrupted:
            at += 1
            memory = Memory()
            for _ in range(events):
                memory.publish("a", self.FRAME)
            ids: list[str] = []
            is_interrupted = interrupted(
                partial(self.publish, memory, "a", ids),
                at,
                partial(self.publish, memory, "a", ids),
            )
            self.checked(memory, "a", ids)
        assert at > 20

    @pytest.mark.usefixtures("registry")
    def test_both_are_counted(self) -> None:
        at = 0
        is_interrupted = True
        while is_interrupted:
            at += 1
            memory, registry = Memory(), CollectorRegistry()
            metrics.use(registry)
            ids: list[str] = []
            publish = partial(self.publish, memory, "a", ids)
            is_interrupted = interrupted(publish, at, publish)
            assert value(registry, "channel_published_total", channel="a") == len(ids)
        assert at > 20

    def test_room_is_made_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hubs_, "MAX_BYTES", 30 * KIB)
        at = 0
        is_interrupted = True
        while is_interrupted:
            at += 1
            memory = Memory()
            for name in "abc":
                for _ in range(7):
                    memory.publish(name, self.FRAME)
            ids: dict[str, list[str]] = {"a": [], "b": []}
            is_interrupted = interrupted(
                partial(self.publish, memory, "a", ids["a"]),
                at,
                partial(self.publish, memory, "b", ids["b"]),
            )
            for name in names(memory):
                self.checked(memory, name, ids.get(name, []))
            assert memory._hubs._weight <= 30 * KIB
