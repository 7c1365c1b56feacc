"""What is promised of answers in the memory of a process, and what only they have."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from answers.suite import Silent, Suite, data_of

from streamkit import Resumable, SourceFailed, StreamingService, channels, kind


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
