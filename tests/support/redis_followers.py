"""Who reads a channel in a test: each event in its turn, and no number without a reason."""

import time
from collections.abc import Callable
from typing import Any

from streamkit import ServerSentEvent
from streamkit.channels.engine import Engine
from streamkit.channels.frame import GAP, frame_of
from streamkit.channels.iterating import Events
from streamkit.channels.listener import Listener
from streamkit.channels.position import Position, positions

PATIENCE = 30.0


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def publish(engine: Engine, name: str, value: Any) -> str:
    return engine.publish(name, frame_of(value))


def parsed(event_id: Any) -> Position:
    found = positions(event_id or "", 1)
    assert found, event_id
    return found[0]


class Follower:
    """Reads on the test's own thread. Numbers go up by one, or a gap says by how many."""

    def __init__(
        self, engine: Engine, *names: str, after: str | None = None, is_lossless: bool = False
    ) -> None:
        self.listener = Listener(engine, names, after, None, is_lossless=is_lossless)
        self.events = Events(self.listener)
        self.position = None if after is None or len(names) > 1 else parsed(after)
        self.gaps: list[int | None] = []

    def placed(self) -> "Follower":
        """Once it is known where it begins."""
        self.wait(self.listener.place)
        self.position = parsed(self.listener.last_event_id)
        return self

    def wait(self, ready: Callable[[], bool], patience: float = PATIENCE) -> None:
        end = time.monotonic() + patience
        while not ready():
            left = end - time.monotonic()
            assert left > 0, "nothing came"
            self.listener.wait(ready, left)

    def event(self) -> ServerSentEvent:
        """The next one, or gap."""
        while True:
            event = self.events._next()
            if event is not None:
                break
            self.wait(lambda: not self.listener.is_at_head())
        position, before = parsed(event.id), self.position
        if event.event == GAP:
            missed = event.data["missed"]
            self.gaps.append(missed)
            if missed is None:
                assert before is None or position.epoch > before.epoch or position.number == 0
            elif before is not None:
                assert position == (before.epoch, before.number + missed)
        elif before is not None:
            assert position == (before.epoch, before.number + 1)
        self.position = position
        return event

    def data(self, count: int) -> list[Any]:
        """Of the next events that are no gaps."""
        found: list[Any] = []
        while len(found) < count:
            event = self.event()
            if event.event != GAP:
                found.append(event.data)
        return found

    def is_silent(self) -> bool:
        return self.listener.is_at_head()

    def leave(self) -> None:
        self.events.close()
