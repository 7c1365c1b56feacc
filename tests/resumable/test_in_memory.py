"""What is promised of answers in the memory of a process, and what only they have."""

import time

import pytest
from answers.suite import Suite

from streamkit import Resumable, StreamingService, channels


@pytest.fixture(autouse=True)
def _in_memory() -> None:
    channels.use(None)


class TestInMemory(Suite):
    def test_it_is_kept_for_an_hour_after_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = time.monotonic()
        monkeypatch.setattr("streamkit.resumable.memory.time.monotonic", lambda: clock)
        monkeypatch.setattr("streamkit.resumable.log.time.monotonic", lambda: clock)
        answers = Resumable("kept")
        [*StreamingService.sse("a", answers.start("key", ["one"]))]
        clock += 3599
        assert [*StreamingService.sse("a", answers.follow("key"))]
        clock += 62
        assert not [*StreamingService.sse("a", answers.follow("key"))]
