"""What is promised of answers in the memory of a process, and what only they have."""

import asyncio
import time
from contextvars import copy_context
from dataclasses import replace
from typing import Any

import pytest
from answers.suite import Silent, Suite, data_of
from combinations import WAIT, SyncSource, wait_until

from streamkit import Resumable, SourceFailed, StreamingService, channels, kind
from streamkit.resumable.log import Ending
from streamkit.resumable.memory import MemoryKeeper
from streamkit.resumable.production import Production
from streamkit.source import Source


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

    @pytest.mark.parametrize("waits", [True, False])
    def test_a_loop_that_is_closed_in_the_midst_of_it_fails_it(
        self, answers: Resumable, monkeypatch: pytest.MonkeyPatch, waits: bool
    ) -> None:
        if waits:
            # Who is there already hears of it with the next heartbeat.
            monkeypatch.setattr(kind, "LOSSLESS", replace(kind.LOSSLESS, heartbeat=0.01))

        async def begin() -> None:
            stream: Any = aiter(StreamingService.sse("answer", answers.start("key", Silent("one"))))
            assert data_of(await anext(stream)) == [b"one"]
            await stream.aclose()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        chunks = iter(StreamingService.sse("answer", answers.follow("key")))
        assert data_of(next(chunks)) == [b"one"]
        loop.close()
        if not waits:
            with pytest.raises(SourceFailed):
                b"".join(StreamingService.sse("answer", answers.follow("key")))
        with pytest.raises(SourceFailed):
            b"".join(chunks)

    def test_who_starts_it_when_all_have_left_makes_what_those_follow_who_came_since(self) -> None:
        keeper = MemoryKeeper()
        first, second = SyncSource(["one"]), SyncSource(["other"])
        left, _ = keeper.join(("kept", "key"), None)
        keeper.leave(left, None)
        log, _ = keeper.join(("kept", "key"), None)
        for joined, source in ((left, first), (log, second)):
            production = Production(Source(source), copy_context(), lambda: lambda _: None, None)
            keeper.start(joined, production, None)
        wait_until(lambda: log.ending is Ending.DONE)
        assert [data_of(sent) for sent, _ in log.entries] == [[b"one"]]
        assert second.closed.wait(WAIT)
        assert (second.given, second.closes) == (0, 1)
