"""When a thread rests for others that wait for the interpreter, and when a task's turn is over."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from streamkit import lost
from streamkit.stream import turn as interpreter
from streamkit.stream.turn import LONG_TURN, MAX_TRUSTED, Portions, TaskTurn, Turn

LENGTH, REST = 0.01, 0.0001


class Clocks:
    """What ``time`` and ``threading`` tell a thread, and how long it slept each time."""

    def __init__(self) -> None:
        self.wall, self.used = 1000.0, 1.0
        self.threads = 2
        self.slept: list[float] = []

    def pass_(self, wall: float, used: float) -> None:
        self.wall += wall
        self.used += used


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    time = SimpleNamespace(
        monotonic=lambda: clocks.wall, thread_time=lambda: clocks.used, sleep=clocks.slept.append
    )
    monkeypatch.setattr(interpreter, "time", time)
    threading = SimpleNamespace(active_count=lambda: clocks.threads)
    monkeypatch.setattr(interpreter, "threading", threading)
    monkeypatch.setattr(lost, "own_threads", lambda: 0)
    return clocks


@pytest.fixture
def turn(clocks: Clocks) -> Turn:
    turn = Turn(LENGTH, REST)
    turn.rest_if_over()
    return turn


def test_a_busy_thread_rests_once_a_turn(clocks: Clocks, turn: Turn) -> None:
    for turns in range(1, 4):
        clocks.pass_(LENGTH * 1.5, LENGTH)
        turn.rest_if_over()
        clocks.pass_(LENGTH / 2, LENGTH / 2)
        turn.rest_if_over()
        assert clocks.slept == [REST] * turns


def test_a_thread_that_has_slept_itself_does_not_rest(clocks: Clocks, turn: Turn) -> None:
    for _ in range(4):
        clocks.pass_(LENGTH * 1.5, LENGTH / 2)
        turn.rest_if_over()
    assert not clocks.slept


def test_the_only_thread_does_not_rest(clocks: Clocks, turn: Turn) -> None:
    clocks.threads = 1
    for _ in range(4):
        clocks.pass_(LENGTH * 1.5, LENGTH * 1.5)
        turn.rest_if_over()
    assert not clocks.slept


def test_a_thread_that_only_waits_for_what_is_lost_is_no_other(
    clocks: Clocks, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "own_threads", lambda: 1)
    for _ in range(4):
        clocks.pass_(LENGTH * 1.5, LENGTH * 1.5)
        turn.rest_if_over()
    assert not clocks.slept


class CountingLoop:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.calls = 0

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.calls += 1
        self._loop.call_soon(callback)


class TestTask:
    def test_its_turn_is_over_once_it_was_busy_for_so_long(self, clocks: Clocks) -> None:
        async def main() -> None:
            turn = TaskTurn(asyncio.get_running_loop(), LENGTH)
            for _ in range(3):
                assert not turn.is_over()
                clocks.pass_(LENGTH / 2, LENGTH / 2)
                assert not turn.is_over()
                clocks.pass_(LENGTH / 2, LENGTH / 2)
                assert turn.is_over()
                await asyncio.sleep(0)

        asyncio.run(main())

    def test_it_begins_anew_when_the_task_has_let_others_go_on(self, clocks: Clocks) -> None:
        async def main() -> None:
            turn = TaskTurn(asyncio.get_running_loop(), LENGTH)
            for _ in range(3):
                assert not turn.is_over()
                await asyncio.sleep(0)
                clocks.pass_(LENGTH * 2, 0)

        asyncio.run(main())

    def test_one_that_has_waited_often_is_looked_at_less_often(self, clocks: Clocks) -> None:
        """And is late soon all the same, if it waits no longer."""

        async def main() -> None:
            loop = CountingLoop(asyncio.get_running_loop())
            turn = TaskTurn(cast(asyncio.AbstractEventLoop, loop), LENGTH)
            for _ in range(100):
                assert not turn.is_over()
                await asyncio.sleep(0)
            assert loop.calls < 100 / (MAX_TRUSTED - 1)
            elements = 0
            while not turn.is_over():
                elements += 1
                clocks.pass_(LENGTH, LENGTH)
            assert elements <= MAX_TRUSTED + 1
            await asyncio.sleep(0)
            assert not turn.is_over()
            clocks.pass_(LENGTH, LENGTH)
            assert turn.is_over()

        asyncio.run(main())


class TestPortions:
    def test_as_many_go_on_in_a_turn_of_their_loop_as_it_is_for(self) -> None:
        async def main() -> None:
            loop, portions = asyncio.get_running_loop(), Portions(2)
            for _ in range(3):
                assert [portions.waiter(loop) for _ in range(2)] == [None] * 2
                await asyncio.sleep(0)

        asyncio.run(main())

    def test_the_others_do_so_in_the_next_turns_in_their_order(self) -> None:
        async def main() -> None:
            loop, portions = asyncio.get_running_loop(), Portions(2)
            waiters = [portions.waiter(loop) for _ in range(7)]
            done = []
            for _ in range(3):
                await asyncio.sleep(0)
                # Who comes now is behind them.
                waiters.append(portions.waiter(loop))
                done.append(sum(waiter is None or waiter.done() for waiter in waiters))
            assert done == [4, 6, 8]

        asyncio.run(main())

    def test_more_go_on_where_a_turn_takes_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As its loop is busy with others, and comes to them the less often."""

        async def main() -> None:
            loop, portions = asyncio.get_running_loop(), Portions(2)
            passed, now = 0.0, loop.time
            monkeypatch.setattr(loop, "time", lambda: now() + passed)
            waiters = [portions.waiter(loop) for _ in range(12)]
            done = []
            for length in (3.5 * LONG_TURN, 1.5 * LONG_TURN):
                passed += length
                await asyncio.sleep(0)
                done.append(sum(waiter is None or waiter.done() for waiter in waiters))
            assert done == [2 + 7, 2 + 7 + 3]

        asyncio.run(main())

    def test_one_that_was_cancelled_takes_nobodys_place(self) -> None:
        async def main() -> None:
            loop, portions = asyncio.get_running_loop(), Portions(1)
            _, first, second = (portions.waiter(loop) for _ in range(3))
            assert first is not None
            assert second is not None
            first.cancel()
            await asyncio.sleep(0)
            assert second.done()

        asyncio.run(main())

    def test_a_loop_that_has_nothing_to_do_is_not_kept_busy(self) -> None:
        async def main() -> None:
            loop, portions = asyncio.get_running_loop(), Portions(1)
            assert portions.waiter(loop) is None
            second = portions.waiter(loop)
            assert second is not None
            await second
            for _ in range(2):
                await asyncio.sleep(0)
            assert not loop._ready  # type: ignore[attr-defined]

        asyncio.run(main())

    def test_one_that_is_over_holds_nobody_up_though_something_has_it_still(self) -> None:
        async def main() -> None:
            loop, portions = asyncio.get_running_loop(), Portions(1)
            assert portions.waiter(loop) is None
            kept = portions._latest and portions._latest()
            for _ in range(3):
                await asyncio.sleep(0)
            assert portions.waiter(loop) is None
            waiter = portions.waiter(loop)
            assert waiter is not None
            await waiter
            assert kept is not None

        asyncio.run(main())

    def test_each_loop_of_a_thread_has_its_own(self) -> None:
        async def come() -> "list[asyncio.Future[None] | None]":
            return [portions.waiter(asyncio.get_running_loop()) for _ in range(2)]

        async def wait(waiter: "asyncio.Future[None]") -> None:
            await waiter

        portions = Portions(1)
        loops = [asyncio.new_event_loop() for _ in range(2)]
        waiting = []
        for loop in loops:
            # Each runs from time to time, while it is asked for something.
            first, second = loop.run_until_complete(come())
            assert first is None
            assert second is not None
            waiting.append(second)
        for loop, waiter in zip(loops, waiting, strict=True):
            loop.run_until_complete(wait(waiter))
            loop.close()
