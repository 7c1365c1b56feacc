"""What is promised of answers in the memory of a process, and what only they have."""

import asyncio
import threading
import time
from contextvars import copy_context
from dataclasses import replace
from typing import Any

import pytest
from answers.suite import Silent, Suite, data_of
from combinations import WAIT, SyncSource, wait_until

from streamkit import Resumable, SourceFailed, StreamingService, channels, kind, signals
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

    def test_two_who_find_at_once_that_its_loop_is_closed_end_it_once(self) -> None:
        """As its reader, which hears that another has ended it, and who follows it."""
        both_know = threading.Barrier(2)

        class Found(Production):
            @property
            def is_orphaned(self) -> bool:
                found = super().is_orphaned
                both_know.wait(WAIT)
                return found

        let_go: list[BaseException | None] = []
        keeper, loop = MemoryKeeper(), asyncio.new_event_loop()
        log, _ = keeper.join(("kept", "key"), None)
        production = Found(Source(Silent("one")), copy_context(), lambda: let_go.append, loop)

        async def begin() -> None:
            keeper.start(log, production, loop)

        loop.run_until_complete(begin())
        while not log.entries:
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        threads = [
            threading.Thread(target=finds, args=(Ending.FAILED,))
            for finds in (production.cut, production.end)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        assert [type(error) for error in let_go] == [RuntimeError]

    def test_what_is_running_at_the_end_of_its_process_fails_though_others_are_kept_elsewhere(
        self,
    ) -> None:
        keeper, release = MemoryKeeper(), threading.Event()
        log, _ = keeper.join(("kept", "key"), None)
        source = SyncSource(["one", release.wait])
        production = Production(Source(source), copy_context(), lambda: lambda _: None, None)
        keeper.start(log, production, None)
        keeper.close()
        wait_until(lambda: bool(log.entries))
        releasing = threading.Timer(0.1, release.set)
        releasing.start()
        signals.finish()
        assert log.ending is Ending.FAILED
        assert source.closed.wait(WAIT)
        releasing.join()
