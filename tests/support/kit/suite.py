"""What a test sees of a live stream, whichever of a framework's targets it connects to."""

import asyncio
import threading
from abc import ABC, abstractmethod
from itertools import repeat
from typing import Any

import pytest
from combinations import AsyncSource, SyncSource

from streamkit.testing import Event, aconnect, connect

__all__ = ["Suite"]

SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])


class Suite(ABC):
    @abstractmethod
    def target(self, source: Any) -> Any:
        """An app that streams the events of ``source`` at ``/ticks``, or the response itself."""

    @SOURCES
    def test_a_sync_test_reads_the_stream(self, source_class: Any) -> None:
        source = source_class(repeat("tick"))
        with connect(self.target(source), "/ticks") as client:
            assert client.status == 200
            assert client.headers["Content-Type"].startswith("text/event-stream")
            assert client.event() == Event("tick")
            client.heartbeat()
        client.assert_source_closed()
        assert source.closes == 1

    @SOURCES
    def test_an_async_test_reads_the_stream(self, source_class: Any) -> None:
        async def main() -> None:
            source = source_class(repeat("tick"))
            async with aconnect(self.target(source), "/ticks") as client:
                assert client.status == 200
                assert client.headers["Content-Type"].startswith("text/event-stream")
                assert await client.event() == Event("tick")
                await client.heartbeat()
            await client.assert_source_closed()
            assert source.closes == 1

        asyncio.run(main())

    def test_an_event_that_does_not_come_in_time_may_come_later(self) -> None:
        release = threading.Event()
        with connect(self.target(SyncSource(["first", release.wait])), "/ticks") as client:
            assert client.event() == Event("first")
            with pytest.raises(TimeoutError, match="no event within 0.01 s"):
                client.event(0.01)
            release.set()
            assert client.event() == Event("true")
