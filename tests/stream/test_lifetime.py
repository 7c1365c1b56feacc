"""The life of a stream as a table, as a state machine, and under four threads that close it."""

import threading
from itertools import repeat
from typing import Any

import pytest
from combinations import WAIT, AsyncSource, Combination, SyncSource, value, wait_until
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client import CollectorRegistry

from streamkit import StreamingService
from streamkit.stream.lifetime import Duty, Lifetime

STATES: dict[str, list[str]] = {
    "open": [],
    "taking": ["take"],
    "taking without a pump": ["take", "fail_to_start"],
    "ended": ["take", "close"],
    "left": ["take", "leave"],
    "left before anything was taken": ["leave"],
    "settled": ["take", "leave", "close"],
    "settled by the consumer": ["take", "close", "leave"],
}
"""How each state is come by."""

DUTIES = [
    ("open", "take", Duty.START),
    ("open", "leave", Duty.DISCARD),
    ("taking", "take", None),
    ("taking", "fail_to_start", None),
    ("taking", "leave", Duty.STOP),
    ("taking", "close", None),
    ("taking without a pump", "leave", Duty.DISCARD),
    ("ended", "take", None),
    ("ended", "leave", Duty.SETTLE),
    ("left", "take", None),
    ("left", "fail_to_start", Duty.DISCARD),
    ("left", "leave", None),
    ("left", "close", Duty.SETTLE),
    ("left before anything was taken", "take", None),
    ("left before anything was taken", "leave", None),
    ("left before anything was taken", "close", Duty.SETTLE),
    ("settled", "take", None),
    ("settled", "leave", None),
    ("settled by the consumer", "take", None),
    ("settled by the consumer", "leave", None),
]


def do(lifetime: Lifetime, what: str) -> Duty | None:
    match what:
        case "leave":
            return lifetime.leave("completed")
        case "close":
            return lifetime.close(None)
        case _:
            duty: Duty | None = getattr(lifetime, what)()
            return duty


@pytest.mark.parametrize(("state", "what", "duty"), DUTIES)
def test_what_happens_in_a_state_obliges_whoever_did_it(
    state: str, what: str, duty: Duty | None
) -> None:
    lifetime = Lifetime()
    for step in STATES[state]:
        do(lifetime, step)
    assert do(lifetime, what) is duty


@pytest.mark.parametrize("state", STATES)
def test_a_state_says_who_has_left(state: str) -> None:
    lifetime = Lifetime()
    for step in STATES[state]:
        do(lifetime, step)
    assert lifetime.is_open == (state == "open")
    assert lifetime.has_left == ("left" in state or "settled" in state)
    assert lifetime.is_settled == ("settled" in state)


@pytest.mark.parametrize("outcome", ["completed", "retired", "disconnected", "failed"])
def test_the_first_who_leaves_says_how_it_ended(outcome: Any) -> None:
    lifetime, error = Lifetime(), ValueError()
    assert not lifetime.is_whole
    lifetime.leave(outcome, error)
    lifetime.leave("failed" if outcome == "completed" else "completed")
    assert (lifetime.outcome, lifetime.raised) == (outcome, error)
    assert lifetime.is_whole == (outcome in ("completed", "retired"))


class LifetimeMachine(RuleBasedStateMachine):
    """In whatever order: one start, one end of the pump or of its unread source, one settling."""

    def __init__(self) -> None:
        super().__init__()
        self.lifetime = Lifetime()
        self.duties: list[Duty] = []
        self.first: str | None = None

    def note(self, duty: Duty | None) -> None:
        if duty is not None:
            self.duties.append(duty)

    def is_reading(self) -> bool:
        """Whether a pump, or whoever discards its source, is going to close it."""
        return bool({Duty.START, Duty.DISCARD} & {*self.duties})

    @rule()
    def take(self) -> None:
        self.note(self.lifetime.take())

    @rule(outcome=st.sampled_from(["completed", "retired", "disconnected", "failed"]))
    def leave(self, outcome: Any) -> None:
        self.first = self.first or outcome
        self.note(self.lifetime.leave(outcome))

    @precondition(lambda self: self.duties[-1:] == [Duty.START])
    @rule()
    def the_pump_does_not_start(self) -> None:
        self.duties.remove(Duty.START)
        self.note(self.lifetime.fail_to_start())

    @precondition(lambda self: self.is_reading() and Duty.SETTLE not in self.duties)
    @rule()
    def close(self) -> None:
        if self.closes:
            return
        self.closes = 1
        self.note(self.lifetime.close(None))

    closes = 0

    @invariant()
    def each_duty_is_done_once(self) -> None:
        assert len(self.duties) == len({*self.duties})
        assert not {Duty.STOP, Duty.DISCARD} <= {*self.duties}
        assert not {Duty.START, Duty.DISCARD} <= {*self.duties}
        assert self.lifetime.has_left == (self.first is not None)
        assert self.lifetime.outcome == (self.first or "disconnected")
        both_left = self.lifetime.has_left and bool(self.closes)
        assert (Duty.SETTLE in self.duties) == both_left == self.lifetime.is_settled


TestLifetimeMachine = LifetimeMachine.TestCase


@pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
def test_a_body_that_another_thread_cuts_is_never_whole(
    source_class: Any, registry: CollectorRegistry
) -> None:
    """Whatever the moment: after what has come there is no end, or nothing is missing."""
    whole = b"".join(StreamingService.export("whole", range(300), "json"))
    for delay in range(60):
        source = source_class(range(300))
        chunks = iter(StreamingService.export("e", source, "json"))
        body = next(chunks)
        begins = threading.Barrier(5)

        def close(chunks: Any = chunks, begins: Any = begins, turns: int = delay) -> None:
            begins.wait(WAIT)
            for _ in range(turns * 20):
                pass
            chunks.close()

        closers = [threading.Thread(target=close) for _ in range(4)]
        for closer in closers:
            closer.start()
        begins.wait(WAIT)
        body += b"".join(chunks)
        for closer in closers:
            closer.join(WAIT)
        assert not body.endswith(b"]\n") or body == whole
        assert source.closed.wait(WAIT)
        assert source.closes == 1
    wait_until(lambda: value(registry, "stream_closed_total", stream="e") == 60)
    wait_until(lambda: value(registry, "stream_active") == 0)


def test_a_batch_that_is_abandoned_while_it_is_drained_is_not_sent(
    combination: Combination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take elements away at the same time, so that some are missing from it."""
    source = combination.source(repeat(1, 10))
    response = StreamingService.export("e", source, "json")
    reader = combination.reader.open(response)
    assert response.pipeline is not None
    buffer = response.pipeline.buffer
    drain = type(buffer).drain

    def drain_in_part(drained: Any) -> list[Any]:
        batch = drain(drained)
        if not batch:
            return batch
        monkeypatch.undo()
        response.close()
        return batch[::2]

    monkeypatch.setattr(type(buffer), "drain", drain_in_part)
    assert reader.rest() == b""
    assert source.closed.wait(WAIT)
