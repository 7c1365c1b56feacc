"""What a client that takes nothing more may cost."""

import tracemalloc
from collections.abc import Iterator

import pytest
from combinations import Combination, SyncSource, wait_until

from streamkit import StreamingService

MIB = 1024 * 1024


class TestLargeElements:
    """Of 16 MiB each."""

    SIZE = 16 * MIB

    @pytest.fixture(autouse=True)
    def _traced(self) -> Iterator[None]:
        tracemalloc.start()
        yield
        tracemalloc.stop()

    def test_large_texts_for_a_client_that_takes_nothing_are_let_go(
        self, combination: Combination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One waits, one is on its way to the client, and one is about to be thrown away."""
        monkeypatch.setattr("streamkit.stream.buffer.MAX_AWAY", 0.0)
        source = combination.source("x" * self.SIZE + f"{n}" for n in range(1000))
        reader = combination.reader.open(StreamingService.sse("s", source))
        reader.next()
        wait_until(lambda: combination.reader.run(lambda: source.given > 20))
        reader.leave()
        assert tracemalloc.get_traced_memory()[1] < 8 * self.SIZE

    def test_large_pieces_for_a_client_that_takes_all_are_let_go(
        self, combination: Combination
    ) -> None:
        source = combination.source(bytes(self.SIZE) for _ in range(20))
        reader = combination.reader.open(StreamingService.download(source, filename="f"))
        for _ in range(20):
            assert len(reader.next()) == self.SIZE
        reader.leave()
        assert tracemalloc.get_traced_memory()[1] < 5 * self.SIZE


def test_the_source_of_a_stalled_thread_is_held_up() -> None:
    """Under WSGI, for as long as the server waits for its client."""
    source = SyncSource(range(100_000))
    chunks = iter(StreamingService.export("e", source, "ndjson"))
    next(chunks)
    wait_until(lambda: source.given > 128)
    assert source.given <= 3 * 128
    chunks.close()
