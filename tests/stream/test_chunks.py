"""What leaves the pipeline: each element at once when idle, few and large chunks when busy."""

import asyncio
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest
from combinations import WAIT, AsyncSource, Combination, SyncSource, wait_until

import streamkit
from streamkit import StreamingService, kind
from streamkit.stream.batches import CHUNK_BYTES, SLICE_SECONDS, joined
from streamkit.stream.pump import TASK_TURN

KIB = 1024


@pytest.mark.parametrize(
    ("pieces", "lengths"),
    [
        ([1] * 100, [100]),
        ([0, 1, 0], [1]),
        ([40 * KIB, 20 * KIB, 20 * KIB], [60 * KIB, 20 * KIB]),
        ([10, 64 * KIB, 10], [10, 64 * KIB, 10]),
        ([1024 * KIB, 1024 * KIB], [1024 * KIB, 1024 * KIB]),
    ],
    ids=["small", "empty", "up-to-64-KiB", "large-between-small", "large"],
)
def test_small_pieces_are_joined_and_large_ones_are_not(
    pieces: list[int], lengths: list[int]
) -> None:
    assert [len(chunk) for chunk in joined([*map(bytes, pieces)])] == lengths


def test_a_large_piece_is_not_copied() -> None:
    piece = bytes(CHUNK_BYTES)
    (chunk,) = StreamingService.download([piece], filename="f")
    assert chunk is piece


def test_an_idle_stream_sends_each_element_at_once(combination: Combination) -> None:
    """The next one is made only when the one before it has arrived."""
    arrived = threading.Semaphore(0)

    def make() -> Any:
        if combination.is_async:
            return asyncio.to_thread(arrived.acquire, timeout=WAIT)
        return arrived.acquire(timeout=WAIT)

    source = combination.source([make] * 20)
    reader = combination.reader.open(StreamingService.export("e", source, "ndjson"))
    for _ in range(20):
        arrived.release()
        assert reader.next() == b"true\n"


@pytest.mark.parametrize("format", ["json", "csv", "ndjson"])
def test_a_busy_export_leaves_in_few_chunks(format: Any) -> None:
    rows = ({"id": number, "name": "a name"} for number in range(100_000))
    count = sum(1 for _ in StreamingService.export("e", rows, format))
    assert count < 4_000


def test_a_client_that_keeps_up_loses_nothing(combination: Combination) -> None:
    source = combination.source(map(str, range(200_000)))
    body = combination.reader.open(StreamingService.sse("s", source)).rest()
    assert body.replace(b": heartbeat\n\n", b"") == b"".join(
        b"data: %d\n\n" % number for number in range(200_000)
    )


def test_a_consumer_that_never_waits_lets_threads_have_the_interpreter() -> None:
    """One on a server that takes all it is given, whose loop gives it up only for moments."""
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        started.wait()
        # A fifth of a second. It would be a minute if that had to be done in those moments.
        assert len([number for number in range(5_000_000)]) == 5_000_000  # noqa: C416
        done.set()

    async def read() -> None:
        async for _ in StreamingService.sse("s", AsyncSource(repeat("x" * 4096))):
            started.set()
            if done.is_set():
                break

    threading.Thread(target=work, daemon=True).start()
    asyncio.run(asyncio.wait_for(read(), WAIT))


def test_sources_that_never_wait_let_other_threads_have_the_interpreter() -> None:
    """Their clients take nothing, so that all there is to do is to drop."""
    done = threading.Event()

    def work() -> None:
        # As a loop does that sends. Each time the interpreter has to be asked for again.
        for _ in range(400):
            time.sleep(0)
        done.set()

    sources = [SyncSource(repeat("event")) for _ in range(4)]
    with ExitStack() as streams:
        for source in sources:
            chunks = iter(StreamingService.sse("s", source))
            streams.callback(chunks.close)
            next(chunks)
        wait_until(lambda: min(source.given for source in sources) > 1_000)
        threading.Thread(target=work, daemon=True).start()
        assert done.wait(WAIT)


@pytest.mark.parametrize("kind", ["sse", "export"])
def test_a_batch_that_takes_long_lets_others_have_their_turn_between_its_elements(
    kind: str,
) -> None:
    turns = 0
    turns_seen = []

    def serialize(row: int) -> str:
        time.sleep(2 * SLICE_SECONDS)
        turns_seen.append(turns)
        return "x"

    async def main() -> None:
        nonlocal turns
        source = AsyncSource(range(50))
        if kind == "sse":
            response = StreamingService.sse("s", source, serialize)
        else:
            response = StreamingService.export("e", source, "ndjson", serialize)
        reading = asyncio.create_task(read(response))
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        await reading

    async def read(response: Any) -> None:
        async for _ in response:
            pass

    asyncio.run(main())
    assert len(turns_seen) == 50
    assert len({*turns_seen}) == 50


def test_a_source_that_waits_is_not_made_to_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long ago its last element was: what it had to itself is a moment."""
    monkeypatch.setattr("streamkit.stream.pump.TASK_PAUSE", 10 * WAIT)

    async def late() -> int:
        await asyncio.sleep(2 * TASK_TURN)
        return 1

    async def main() -> None:
        async for _ in StreamingService.export("e", AsyncSource([late] * 5), "ndjson"):
            pass

    asyncio.run(asyncio.wait_for(main(), WAIT))


def test_a_stream_sets_no_timer_for_each_event() -> None:
    async def event() -> str:
        await asyncio.sleep(0)
        return "event"

    async def main() -> None:
        def note(*given: Any, **named: Any) -> Any:
            timers.append(given)
            return call_at(*given, **named)

        loop: Any = asyncio.get_running_loop()
        call_at = loop.call_at
        loop.call_at = note
        async for _ in StreamingService.sse("s", AsyncSource([event] * 200)):
            pass

    timers: list[Any] = []
    asyncio.run(main())
    assert len(timers) < 10


def test_a_client_that_stops_is_told_what_it_lost_and_gets_the_latest() -> None:
    made_all = threading.Event()

    def source() -> Iterator[str]:
        yield from map(str, range(1000))
        made_all.set()
        yield "last"

    response = iter(StreamingService.sse("s", source()))
    first = next(response)
    assert made_all.wait(WAIT)
    rest = first + b"".join(response)
    before, _, after = rest.partition(b": dropped ")
    lost, _, after = after.partition(b"\n\n")
    received = before.count(b"data: ") + after.count(b"data: ")
    assert int(lost) + received == 1001
    assert after.count(b"data: ") in (64, 65)
    assert after.startswith(b"data: 93")
    assert after.endswith(b"data: 999\n\ndata: last\n\n")


def test_an_inline_live_stream_keeps_no_event_back_for_the_next() -> None:
    def source() -> Iterator[str]:
        yield "a"
        assert received
        yield "b"

    received: list[bytes] = []
    for chunk in StreamingService.sse("s", streamkit.inline(source())):
        received.append(chunk)
    assert received == [b"data: a\n\n", b"data: b\n\n"]


@pytest.mark.parametrize("make", [bytearray, lambda b: array("B", b), lambda b: memoryview(b)])
def test_a_download_may_reuse_the_buffer_that_it_yields(make: Any) -> None:
    def source() -> Iterator[Any]:
        piece = make(bytearray(4))
        for letter in b"abcdef":
            for place in range(4):
                piece[place] = letter
            yield piece

    body = b"".join(StreamingService.download(source(), filename="f"))
    assert body == b"aaaabbbbccccddddeeeeffff"


class TestHeartbeats:
    def test_the_first_heartbeat_carries_the_head_of_a_silent_stream(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=WAIT * 100))
        release = threading.Event()
        limit = threading.Timer(WAIT, release.set)
        limit.start()
        response = iter(StreamingService.sse("s", SyncSource([release.wait])))
        assert next(response) == b": heartbeat\n\n"
        assert not release.is_set()
        limit.cancel()
        release.set()
        assert b"".join(response) == b"data: true\n\n"

    def test_heartbeats_come_between_events_that_never_pause(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=0.0))
        body = b"".join(StreamingService.sse("s", ["a", "b"]))
        assert body.replace(b": heartbeat\n\n", b"") == b"data: a\n\ndata: b\n\n"
        assert b": heartbeat\n\n" in body

    def test_one_that_was_due_while_the_consumer_was_away_comes_when_it_is_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=0.01))
        release = asyncio.Event()

        async def main() -> None:
            response = aiter(StreamingService.sse("s", AsyncSource(["one", release.wait])))
            received = await anext(response)
            while b"one" not in received:
                received = await anext(response)
            await asyncio.sleep(0.05)
            async with asyncio.timeout(WAIT):
                assert await anext(response) == b": heartbeat\n\n"
            release.set()
            async for _ in response:
                pass

        asyncio.run(main())

    def test_heartbeats_take_no_place_in_the_buffer_and_never_cancel_the_source(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=0.001))
        release = asyncio.Event()

        async def main() -> None:
            source = AsyncSource(["one", release.wait, "three"])
            response = aiter(StreamingService.sse("s", source))
            received = b""
            while received.count(b": heartbeat") < 5:
                received += await anext(response)
            release.set()
            async for chunk in response:
                received += chunk
            assert received.replace(b": heartbeat\n\n", b"") == (
                b"data: one\n\ndata: true\n\ndata: three\n\n"
            )
            assert source.closes == 1

        asyncio.run(main())

    def test_exports_and_downloads_have_no_room_for_heartbeats(
        self, combination: Combination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However often one were due: that none is, the README says, and its test."""
        for name in ("EXPORT", "DOWNLOAD"):
            monkeypatch.setattr(kind, name, replace(getattr(kind, name), heartbeat=0.001))

        def late(element: object) -> Any:
            def wait() -> Any:
                if combination.is_async:
                    return asyncio.sleep(0.02, element)
                time.sleep(0.02)
                return element

            return wait

        for format, body in (
            ("csv", b"a\r\n1\r\n"),
            ("json", b'[\n{"a":1}\n]\n'),
            ("ndjson", b'{"a":1}\n'),
        ):
            rows = combination.source([late({"a": 1})])
            export = StreamingService.export("e", rows, format)  # type: ignore[arg-type]
            assert combination.reader.open(export).rest() == body
        pieces = combination.source([late(b"1"), late(b"2")])
        download = StreamingService.download(pieces, filename="f")
        assert combination.reader.open(download).rest() == b"12"


@pytest.mark.parametrize("format", ["json", "csv", "ndjson"])
def test_a_first_row_that_cannot_be_encoded_fails_before_any_byte(format: Any) -> None:
    """So that it is a 500, as with a source that fails there."""
    with pytest.raises(TypeError, match="object"):
        next(iter(StreamingService.export("e", [{"a": object()}], format)))


@pytest.mark.parametrize("format", ["json", "csv", "ndjson"])
def test_a_later_row_that_cannot_be_encoded_fails_after_those_before_it(format: Any) -> None:
    rows = [{"a": 1}, {"a": 2}, {"a": object()}, {"a": 4}]
    response = iter(StreamingService.export("e", rows, format))
    received = b""
    with pytest.raises(TypeError, match="object"):
        while True:
            received += next(response)
    assert b"2" in received
    assert b"4" not in received
    assert not received.endswith(b"]\n")
