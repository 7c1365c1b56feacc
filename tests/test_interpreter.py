"""When a thread pauses for others that wait for the interpreter."""

from types import SimpleNamespace

import pytest

from streamkit import interpreter
from streamkit.interpreter import PAUSE, TURN, share


class Clocks:
    """Of a thread: what ``time`` and ``threading`` tell it, and how long it slept."""

    def __init__(self) -> None:
        self.wall = self.used = 1.0
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
    threading = SimpleNamespace(active_count=lambda: clocks.threads)
    turn = SimpleNamespace(began=clocks.wall, used=clocks.used)
    for name, value in {"time": time, "threading": threading, "_turn": turn}.items():
        monkeypatch.setattr(interpreter, name, value)
    return clocks


def test_a_busy_thread_pauses_once_a_turn(clocks: Clocks) -> None:
    for turns in range(1, 4):
        clocks.pass_(TURN * 1.5, TURN)
        share()
        clocks.pass_(TURN / 2, TURN / 2)
        share()
        assert clocks.slept == [PAUSE] * turns


def test_one_that_has_slept_itself_does_not(clocks: Clocks) -> None:
    for _ in range(4):
        clocks.pass_(TURN, TURN / 4)
        share()
    assert not clocks.slept


def test_nor_does_the_only_one(clocks: Clocks) -> None:
    clocks.threads = 1
    for _ in range(4):
        clocks.pass_(TURN, TURN)
        share()
    assert not clocks.slept
