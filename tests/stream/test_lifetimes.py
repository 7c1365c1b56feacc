"""Every way for a stream to end, in the four combinations of source and consumer.

After each: the source was closed once, on the thread or task and in the context that ran it, and
the metrics are back where they were.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from combinations import (
    WAIT,
    AsyncSource,
    Combination,
    SyncSource,
    mark,
    outcomes,
    value,
    wait_until,
)
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import StreamingService, StreamResponse, kind
from streamkit.stream.buffer import Buffer
from streamkit.wake import LoopWake


def assert_settled(source: Any, registry: CollectorRegistry, outcome: str | None) -> None:
    assert source.closed.wait(WAIT)
    wait_until(lambda: value(registry, "stream_active") == 0)
    assert source.closes == 1
    assert len(source.places) == 1
    assert source.marks == {"caller"}
    assert outcomes(registry) == ({} if outcome is None else {outcome: 1})


def export(source: Any, **arguments: Any) -> StreamResponse:
    mark.set("caller")
    response = StreamingService.export("rows", source, "ndjson", **arguments)
    mark.set("changed after the call")
    return response


def rows(*numbers: int) -> bytes:
    return b"".join(b"%d\n" % number for number in numbers)


def test_the_source_ends(combination: Combination, registry: CollectorRegistry) -> None:
    source = combination.source(range(1000))
    reader = combination.reader.open(export(source))
    assert reader.rest() == rows(*range(1000))
    assert_settled(source, registry, "completed")
    assert value(registry, "stream_elements_total") == 1000
    assert value(registry, "stream_bytes_total") == len(rows(*range(1000)))


def test_the_source_is_closed_before_the_last_chunk(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source([1])
    mark.set("caller")
    reader = combination.reader.open(StreamingService.export("rows", source, "json"))
    chunks = b""
    while not chunks.endswith(b"]\n"):
        chunks += reader.next()
    assert source.closes == 1
    assert reader.rest() == b""
    assert_settled(source, registry, "completed")


def test_the_source_starts_with_the_first_chunk_and_not_before(combination: Combination) -> None:
    source = combination.source([1])
    reader = combination.reader.open(export(source))
    assert source.given == 0
    reader.next()
    assert source.given == 1
    reader.leave()


def test_the_source_raises(combination: Combination, registry: CollectorRegistry) -> None:
    error = RuntimeError("out of rows")
    source = combination.source([1, 2, error])
    reader = combination.reader.open(export(source))
    sent = b""
    with pytest.raises(RuntimeError) as raised:
        while True:
            sent += reader.next()
    assert raised.value is error
    assert sent == rows(1, 2)
    with pytest.raises(StopIteration):
        reader.next()
    assert_settled(source, registry, "failed")


def test_the_source_raises_before_its_first_element(
    combination: Combination, registry: CollectorRegistry
) -> None:
    error = OSError("no rows")
    source = combination.source([error])
    mark.set("caller")
    reader = combination.reader.open(StreamingService.export("rows", source, "json"))
    with pytest.raises(OSError, match="no rows") as raised:
        reader.next()
    assert raised.value is error
    assert_settled(source, registry, "failed")


def test_closing_the_source_fails(combination: Combination, registry: CollectorRegistry) -> None:
    """As a failed commit does. The export must not look complete."""
    source = combination.source([1])
    source.close_error = RuntimeError("not committed")
    reader = combination.reader.open(export(source))
    with pytest.raises(RuntimeError, match="not committed"):
        reader.rest()
    assert_settled(source, registry, "failed")


def test_a_source_with_nothing_to_call_for_its_close(combination: Combination) -> None:
    source: Any = combination.source([1])
    source.close = source.aclose = None
    assert combination.reader.open(export(source)).rest() == rows(1)


def test_the_encoder_raises(combination: Combination, registry: CollectorRegistry) -> None:
    def serialize(row: int) -> str:
        if row == 3:
            raise ZeroDivisionError
        return str(row)

    source = combination.source(range(1000))
    reader = combination.reader.open(export(source, serialize=serialize))
    sent = b""
    with pytest.raises(ZeroDivisionError):
        while True:
            sent += reader.next()
    reader.leave()
    assert sent == rows(0, 1, 2)
    assert_settled(source, registry, "failed")


def test_the_consumer_may_be_done_while_the_pump_is_still_leaving(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    end = Buffer.end

    def end_and_linger(buffer: Buffer, error: BaseException | None = None) -> None:
        end(buffer, error)
        done.wait(WAIT)

    monkeypatch.setattr(Buffer, "end", end_and_linger)
    source = SyncSource([1])
    assert b"".join(export(source)) == rows(1)
    done.set()
    assert_settled(source, registry, "completed")


@pytest.mark.parametrize("stop", [StopIteration, StopAsyncIteration])
def test_a_stray_stop_in_the_encoder_is_no_end_of_the_stream(
    combination: Combination, registry: CollectorRegistry, stop: type[Exception]
) -> None:
    def serialize(row: int) -> str:
        raise stop

    source = combination.source(range(3))
    reader = combination.reader.open(export(source, serialize=serialize))
    with pytest.raises(RuntimeError) as raised:
        reader.next()
    assert isinstance(raised.value.__cause__, stop)
    reader.leave()
    assert_settled(source, registry, "failed")


def test_the_consumer_leaves_while_the_pump_waits_for_room(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(range(100_000))
    reader = combination.reader.open(export(source))
    reader.next()
    reader.leave()
    assert_settled(source, registry, "disconnected")
    assert source.given <= 128 * 3


def test_the_consumer_leaves_while_the_pump_drops(
    combination: Combination, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamkit.stream.buffer.MAX_AWAY", 0.0)
    for _ in range(20):
        source = combination.source(itertools.repeat("event"))
        reader = combination.reader.open(StreamingService.sse("s", source))
        while b": dropped" not in reader.next():
            pass
        reader.leave()
        assert source.closed.wait(WAIT)
        assert source.closes == 1
    wait_until(lambda: outcomes(registry) == {"disconnected": 20})
    assert value(registry, "stream_active") == 0
    assert value(registry, "stream_dropped_total") > 0


def test_the_consumer_leaves_before_the_first_chunk(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(range(10))
    reader = combination.reader.open(export(source))
    reader.leave()
    assert_settled(source, registry, None)
    assert source.given == 0
    with pytest.raises(StopIteration):
        reader.next()


def test_the_response_is_closed_without_being_opened(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(range(10))
    response = export(source)
    combination.reader.drop(response)
    assert_settled(source, registry, None)
    response.close()
    assert source.closes == 1


def test_the_response_is_dropped_without_being_opened(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(range(10))
    export(source)
    gc.collect()
    assert_settled(source, registry, None)


def test_the_chunks_are_dropped_without_being_closed(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(range(100_000))
    reader = combination.reader.open(export(source))
    reader.next()
    reader.chunks = reader.async_chunks = None
    gc.collect()
    wait_until(lambda: combination.reader.run(lambda: source.closed.is_set()))
    assert_settled(source, registry, "disconnected")


def test_leaving_twice_is_leaving_once(
    combination: Combination, registry: CollectorRegistry
) -> None:
    source = combination.source(range(100_000))
    reader = combination.reader.open(export(source))
    reader.next()
    reader.leave()
    reader.leave()
    assert_settled(source, registry, "disconnected")


def test_a_response_is_opened_once(combination: Combination) -> None:
    response = export(combination.source([1]))
    combination.reader.open(response).rest()
    with pytest.raises(RuntimeError, match="only once"):
        combination.reader.open(response)


def test_the_source_fails_to_close_after_the_consumer_left(
    combination: Combination, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    source = combination.source(range(100_000))
    source.close_error = RuntimeError("could not close")
    reader = combination.reader.open(export(source))
    reader.next()
    with caplog.at_level(logging.ERROR, "streamkit"):
        reader.leave()
        assert_settled(source, registry, "disconnected")
        wait_until(lambda: bool(caplog.records))
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is source.close_error


def test_callbacks_run_once_the_stream_is_over_in_the_context_of_the_source(
    combination: Combination, registry: CollectorRegistry
) -> None:
    seen: list[object] = []
    over = threading.Event()
    source = combination.source(range(100_000))
    response = export(source)
    response.call_on_close(lambda error: seen.append((mark.get(), source.closes, error)))
    response.call_on_close(lambda error: over.set())
    reader = combination.reader.open(response)
    reader.next()
    reader.leave()
    assert over.wait(WAIT)
    assert seen == [("caller", 1, None)]
    assert_settled(source, registry, "disconnected")


def test_a_closing_line_is_logged(
    combination: Combination, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "streamkit"):
        combination.reader.open(export(combination.source(range(3)))).rest()
    (message,) = caplog.messages
    assert message.startswith(
        "export stream 'rows' (tenant 'system') completed: 3 elements, 6 bytes, "
    )


def test_a_stream_fails_if_no_thread_is_to_be_had(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source has more rows than a buffer, and nobody may wait for room in it."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    source = SyncSource(range(1000))
    chunks = iter(export(source))
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        next(chunks)
    assert_settled(source, registry, "failed")
    assert source.given == 0


def test_what_is_offered_and_ended_during_a_drain_belongs_to_the_next_drain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drained, ended = threading.Event(), threading.Event()
    drain, end = Buffer.drain, Buffer.end

    def drain_and_let_go_on(buffer: Buffer) -> list[Any]:
        batch = drain(buffer)
        drained.set()
        assert ended.wait(WAIT)
        return batch

    def end_and_say_so(buffer: Buffer, error: BaseException | None = None) -> None:
        end(buffer, error)
        ended.set()

    def source() -> Iterator[str]:
        yield "first"
        assert drained.wait(WAIT)
        yield "second"

    monkeypatch.setattr(Buffer, "drain", drain_and_let_go_on)
    monkeypatch.setattr(Buffer, "end", end_and_say_so)
    assert b"".join(export(source())) == b'"first"\n"second"\n'


def test_a_callback_that_comes_too_late_is_called_at_once() -> None:
    response = export([1])
    list(response)
    called: list[object] = []
    response.call_on_close(called.append)
    assert called == [None]


def test_elements_refusals_and_times_of_a_stream_are_counted(
    combination: Combination, registry: CollectorRegistry
) -> None:
    events = ["first", streamkit.ServerSentEvent(data="", id="a\0")]
    combination.reader.open(StreamingService.sse("s", combination.source(events))).rest()
    assert value(registry, "stream_elements_total", kind="sse", stream="s") == 2
    assert value(registry, "stream_refused_total") == 1
    assert value(registry, "stream_first_byte_seconds_count") == 1
    assert value(registry, "stream_duration_seconds_count") == 1


def test_a_heartbeat_is_not_the_first_element(
    combination: Combination, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=0.01))
    release = threading.Event()

    def silent() -> Any:
        return asyncio.to_thread(release.wait, WAIT) if combination.is_async else release.wait(WAIT)

    source = combination.source([silent])
    reader = combination.reader.open(StreamingService.sse("s", source))
    assert reader.next() == b": heartbeat\n\n"
    assert value(registry, "stream_first_byte_seconds_count") == 0
    release.set()
    assert b"data: true" in reader.rest()
    assert value(registry, "stream_first_byte_seconds_count") == 1


def test_an_export_without_rows_has_a_first_byte_all_the_same(
    combination: Combination, registry: CollectorRegistry
) -> None:
    combination.reader.open(StreamingService.export("e", combination.source([]), "json")).rest()
    assert value(registry, "stream_first_byte_seconds_count") == 1


def test_a_refusal_is_counted_though_the_batch_fails_after_it(registry: CollectorRegistry) -> None:
    def serialize(event: int) -> Any:
        if event == 2:
            raise ZeroDivisionError
        return {"data": "x", "id": "a\0"}

    with pytest.raises(ZeroDivisionError):
        list(StreamingService.sse("s", [1, 2], serialize))
    assert value(registry, "stream_refused_total") == 1


class TestEventsOneByOne:
    """Each comes when the one before it has arrived, and so by a shorter way than a batch."""

    @pytest.fixture(autouse=True)
    def no_heartbeat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=None))

    @pytest.fixture
    def arrived(self) -> threading.Semaphore:
        return threading.Semaphore(0)

    def source(
        self, combination: Combination, events: Iterable[object], arrived: threading.Semaphore
    ) -> Any:
        def late(event: object) -> Any:
            def make() -> Any:
                arrived.acquire(timeout=WAIT)
                return event

            return partial(asyncio.to_thread, make) if combination.is_async else make

        return combination.source(map(late, events))

    @pytest.mark.parametrize("error", [ZeroDivisionError, StopIteration, StopAsyncIteration])
    def test_what_serialize_raises_ends_the_stream_behind_those_before(
        self,
        combination: Combination,
        registry: CollectorRegistry,
        arrived: threading.Semaphore,
        error: type[Exception],
    ) -> None:
        def serialize(number: int) -> str:
            if number == 3:
                raise error
            return str(number)

        mark.set("caller")
        source = self.source(combination, range(9), arrived)
        reader = combination.reader.open(StreamingService.sse("s", source, serialize))
        for number in range(3):
            arrived.release()
            assert reader.next() == b"data: %d\n\n" % number
        arrived.release()
        with pytest.raises(error if error is ZeroDivisionError else RuntimeError) as raised:
            reader.next()
        assert error in (raised.type, type(raised.value.__cause__))
        with pytest.raises(StopIteration):
            reader.next()
        arrived.release(5)
        reader.leave()
        assert_settled(source, registry, "failed")

    def test_one_that_is_refused_is_told_and_counted_at_once(
        self, combination: Combination, registry: CollectorRegistry, arrived: threading.Semaphore
    ) -> None:
        events = ["first", streamkit.ServerSentEvent(data="", id="a\0"), "last"]
        mark.set("caller")
        source = self.source(combination, events, arrived)
        reader = combination.reader.open(StreamingService.sse("s", source))
        for chunk, refused in (
            (b"data: first\n\n", 0),
            (b": refused\n\n", 1),
            (b"data: last\n\n", 1),
        ):
            arrived.release()
            assert reader.next() == chunk
            assert value(registry, "stream_refused_total") == refused
        assert reader.rest() == b""
        assert_settled(source, registry, "completed")

    def test_one_that_has_nothing_to_send_is_passed_over(
        self, combination: Combination, registry: CollectorRegistry, arrived: threading.Semaphore
    ) -> None:
        events = ["first", streamkit.ServerSentEvent(data=None), "last"]
        mark.set("caller")
        source = self.source(combination, events, arrived)
        reader = combination.reader.open(StreamingService.sse("s", source))
        arrived.release()
        assert reader.next() == b"data: first\n\n"
        arrived.release(2)
        assert reader.rest() == b"data: last\n\n"
        assert value(registry, "stream_elements_total") == 3
        assert_settled(source, registry, "completed")

    def test_all_of_them_are_serialized_in_the_context_of_the_caller(
        self, combination: Combination, arrived: threading.Semaphore
    ) -> None:
        mark.set("caller")
        seen = []

        def serialize(number: int) -> str:
            seen.append((mark.get(), number))
            mark.set(f"set at {number}")
            return str(number)

        source = self.source(combination, range(3), arrived)
        reader = combination.reader.open(StreamingService.sse("s", source, serialize))
        for _ in range(3):
            arrived.release()
            reader.next()
        assert reader.rest() == b""
        assert seen == [("caller", 0), ("set at 0", 1), ("set at 1", 2)]


def test_a_loop_that_is_closed_has_nobody_to_wake() -> None:
    loop = asyncio.new_event_loop()
    signal = LoopWake(loop)
    signal.armed = True
    loop.close()
    signal.notify()


def test_a_loops_signal_looks_once_more_before_it_waits() -> None:
    async def main() -> None:
        signal = LoopWake(asyncio.get_running_loop())
        await asyncio.wait_for(signal.wait(lambda: signal.armed, None), WAIT)

    asyncio.run(main())


def test_no_timer_is_left_by_a_stream_that_is_over() -> None:
    """asyncio keeps a timer until its time, and what it is to call."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        for source in (AsyncSource([1]), AsyncSource([1, ZeroDivisionError()])):
            with contextlib.suppress(ZeroDivisionError):
                async for _ in export(source):
                    pass
        chunks = aiter(export(AsyncSource([1, asyncio.Event().wait])))
        await anext(chunks)
        chunks.leave()
        await asyncio.sleep(0)
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []

    asyncio.run(main())


def test_another_task_than_the_one_that_waits_may_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """And then waits itself, for the source to close."""
    monkeypatch.setattr("streamkit.stream.async_chunks.MAX_CLOSING", 10 * WAIT)

    async def slow() -> Any:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            closed.append(True)

    async def main() -> None:
        chunks = aiter(export(slow()))
        await anext(chunks)
        waiting = asyncio.create_task(anext(chunks, None))
        await asyncio.sleep(0)
        await chunks.aclose()
        assert closed
        assert await waiting is None

    closed: list[bool] = []
    asyncio.run(asyncio.wait_for(main(), WAIT))


class TestClosingFromAnotherThread:
    """Servers do it when a client vanishes, at any moment."""

    def test_a_consumer_that_waits_for_an_element_is_let_go(self) -> None:
        entered, release = threading.Event(), threading.Event()
        closed = threading.Event()

        def source() -> Iterator[int]:
            try:
                entered.set()
                release.wait(WAIT)
                yield 1
            finally:
                closed.set()

        chunks = iter(export(source()))
        result: list[object] = []
        consumer = threading.Thread(target=lambda: result.append(next(chunks, "over")))
        consumer.start()
        assert entered.wait(WAIT)
        chunks.close()
        consumer.join(WAIT)
        assert result == ["over"]
        # The pump is inside the source's own code, where nothing can wake it.
        assert not closed.is_set()
        release.set()
        assert closed.wait(WAIT)

    def test_a_consumer_whose_encoder_is_at_work_ends_after_it(self) -> None:
        entered, release = threading.Event(), threading.Event()

        def serialize(row: int) -> str:
            entered.set()
            release.wait(WAIT)
            return "row"

        source = SyncSource([1, 2])
        chunks = iter(export(source, serialize=serialize))
        result: list[object] = []
        consumer = threading.Thread(target=lambda: result.extend(chunks))
        consumer.start()
        assert entered.wait(WAIT)
        chunks.close()
        release.set()
        consumer.join(WAIT)
        assert not consumer.is_alive()
        assert source.closed.wait(WAIT)
        assert source.closes == 1


def test_a_loop_hears_of_its_clients_though_no_chunk_has_to_be_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamkit.stream.async_chunks.TASK_TURN", 0.0)

    async def main() -> None:
        source = SyncSource([bytes(64 * 1024)] * 3)
        chunks = aiter(StreamingService.download(source, filename="f"))
        await anext(chunks)
        assert source.closed.wait(WAIT)
        for _ in range(2):
            heard = asyncio.Event()
            asyncio.get_running_loop().call_soon(heard.set)
            await anext(chunks)
            assert heard.is_set()
        await chunks.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError, BaseException])
def test_a_source_that_raises_no_exception_does_not_end_its_server(
    combination: Combination, registry: CollectorRegistry, kind: type[BaseException]
) -> None:
    """The error itself would end a server's loop, or a worker of gunicorn; or it would pass for a
    cancellation of the consumer, of which a group of tasks says nothing.
    """
    source = combination.source([1, kind()])
    reader = combination.reader.open(export(source))
    sent = b""
    with pytest.raises(RuntimeError, match=f"a source raised {kind.__name__}") as raised:
        while True:
            sent += reader.next()
    assert isinstance(raised.value.__cause__, kind)
    assert sent == rows(1)
    assert_settled(source, registry, "failed")


def test_an_inline_source_passes_an_exit_on_to_its_own_thread() -> None:
    """As when a server's signal handler raises it there, to end the worker."""
    with pytest.raises(SystemExit):
        list(export(streamkit.inline(SyncSource([SystemExit()]))))


class TestAsyncSources:
    def test_a_source_that_waits_is_cancelled_at_once_and_closes_in_its_own_task(self) -> None:
        places: list[object] = []

        async def source() -> Any:
            try:
                places.append(asyncio.current_task())
                yield 1
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                places.append(asyncio.current_task())

        async def main() -> None:
            chunks = aiter(export(source()))
            assert await anext(chunks) == b"1\n"
            await chunks.aclose()
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(main())
        assert len(places) == 2
        assert len(set(places)) == 1

    def test_a_source_that_swallows_its_cancellation_is_stopped_at_its_next_element(self) -> None:
        closes = []

        async def source() -> Any:
            try:
                yield 1
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    yield 2
                closes.append("went on")
            finally:
                closes.append("closed")

        async def main() -> None:
            chunks = aiter(export(source()))
            await anext(chunks)
            await chunks.aclose()

        asyncio.run(main())
        assert closes == ["closed"]

    def test_a_cancelled_consumer_leaves(self) -> None:
        source = AsyncSource([1, asyncio.Event().wait])

        async def consume(response: StreamResponse, begun: asyncio.Event) -> None:
            chunks = aiter(response)
            try:
                async for _ in chunks:
                    begun.set()
            finally:
                await chunks.aclose()

        async def main() -> None:
            begun = asyncio.Event()
            consumer = asyncio.create_task(consume(export(source), begun))
            await asyncio.wait_for(begun.wait(), WAIT)
            consumer.cancel()
            with pytest.raises(asyncio.CancelledError):
                await consumer

        asyncio.run(main())
        assert source.closes == 1

    def test_a_source_that_never_awaits_leaves_room_for_the_rest_of_the_loop(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even when it drops all the time, since its client has stopped reading."""
        monkeypatch.setattr("streamkit.stream.buffer.MAX_AWAY", 0.0)
        stop = False

        async def source() -> Any:
            while not stop:
                yield "event"

        async def main() -> None:
            nonlocal stop
            chunks = aiter(StreamingService.sse("hot", source()))
            await anext(chunks)
            for _ in range(1000):
                await asyncio.sleep(0)
            stop = True
            assert b": dropped" in await anext(chunks)
            await chunks.aclose()

        asyncio.run(asyncio.wait_for(main(), WAIT))

    def test_one_that_exits_does_not_end_the_others_on_its_loop(self) -> None:
        async def exits() -> AsyncIterator[int]:
            yield 1
            raise SystemExit

        async def goes_on() -> AsyncIterator[int]:
            yield 1

        with pytest.raises(RuntimeError, match="a source raised SystemExit"):
            list(export(exits()))
        assert list(export(goes_on())) == [b"1\n"]

    def test_async_sources_share_one_thread_under_wsgi(self) -> None:
        threads = set()

        async def source() -> Any:
            threads.add(threading.current_thread())
            yield 1

        for _ in range(5):
            assert list(export(source())) == [b"1\n"]
        (thread,) = threads
        assert thread is not threading.current_thread()
        assert thread.daemon


class TestInline:
    def test_an_inline_source_runs_on_the_thread_of_its_consumer(
        self, registry: CollectorRegistry
    ) -> None:
        source = SyncSource(range(1000))
        assert b"".join(export(streamkit.inline(source))) == rows(*range(1000))
        assert source.places == {threading.current_thread()}
        assert_settled(source, registry, "completed")

    def test_an_element_of_a_slow_inline_source_is_not_kept_for_a_larger_batch(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.stream.pump.INLINE_TURN", 0.0)
        assert list(export(streamkit.inline([1, 2]))) == [b"1\n", b"2\n"]

    def test_the_error_of_an_inline_source_is_raised_unchanged(
        self, registry: CollectorRegistry
    ) -> None:
        error = RuntimeError()
        source = SyncSource([1, error])
        chunks = iter(export(streamkit.inline(source)))
        assert next(chunks) == b"1\n"
        with pytest.raises(RuntimeError) as raised:
            next(chunks)
        assert raised.value is error
        assert_settled(source, registry, "failed")

    def test_an_inline_source_is_closed_when_its_consumer_leaves(
        self, registry: CollectorRegistry
    ) -> None:
        source = SyncSource(range(100_000))
        chunks = iter(export(streamkit.inline(source)))
        next(chunks)
        chunks.close()
        assert_settled(source, registry, "disconnected")
        assert source.given <= 129

    def test_an_inline_source_is_closed_from_another_thread_while_it_blocks(
        self, registry: CollectorRegistry
    ) -> None:
        entered, release = threading.Event(), threading.Event()

        def block() -> int:
            entered.set()
            release.wait(WAIT)
            return 1

        source = SyncSource([block])
        chunks = iter(export(streamkit.inline(source)))
        result: list[object] = []
        consumer = threading.Thread(target=lambda: result.append(next(chunks, "over")))
        consumer.start()
        assert entered.wait(WAIT)
        chunks.close()
        assert source.closes == 0
        release.set()
        consumer.join(WAIT)
        assert result == ["over"]
        assert_settled(source, registry, "disconnected")

    def test_an_inline_source_is_refused_on_an_event_loop(
        self, registry: CollectorRegistry
    ) -> None:
        source = SyncSource([1])

        async def main() -> None:
            with pytest.raises(RuntimeError, match="inline source cannot be streamed under ASGI"):
                aiter(export(streamkit.inline(source)))

        asyncio.run(main())
        assert_settled(source, registry, None)


def test_a_generator_and_the_iterable_it_came_from_are_both_closed(
    combination: Combination,
) -> None:
    closed = []

    class Sync:
        def __iter__(self) -> Iterator[int]:
            try:
                yield 1
            finally:
                closed.append("generator")

        def close(self) -> None:
            closed.append("iterable")

    class Async:
        async def __aiter__(self) -> Any:
            try:
                yield 1
            finally:
                closed.append("generator")

        async def close(self) -> None:
            closed.append("iterable")

    combination.reader.open(export(Async() if combination.is_async else Sync())).rest()
    assert closed == ["generator", "iterable"]


def test_an_iterable_of_both_kinds_is_read_the_way_its_consumer_is(
    combination: Combination,
) -> None:
    class Both:
        def __iter__(self) -> Iterator[str]:
            yield "sync"

        async def __aiter__(self) -> Any:
            yield "async"

    expected = b'"async"\n' if hasattr(combination.reader, "runner") else b'"sync"\n'
    assert combination.reader.open(export(Both())).rest() == expected


def test_a_heartbeat_is_sent_however_silent_the_source(
    combination: Combination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=0.01))
    release = threading.Event()

    def silent() -> Any:
        return asyncio.to_thread(release.wait, WAIT) if combination.is_async else release.wait(WAIT)

    reader = combination.reader.open(
        StreamingService.sse("silent", combination.source([silent, "after"]), lambda _: "data")
    )
    for _ in range(3):
        assert reader.next() == b": heartbeat\n\n"
    release.set()
    assert b"data: data\n\n" in reader.rest()


def test_nothing_of_a_stream_waits_for_the_garbage_collector(combination: Combination) -> None:
    """A list of a million rows, say, is let go of when its export is over."""

    class Rows(list[int]):
        pass

    async def read_async(rows: Rows) -> AsyncIterator[int]:
        for row in rows:
            yield row

    def read(leave: bool) -> Any:
        rows = Rows(range(1000))
        source: Any = read_async(rows) if combination.is_async else rows
        reader = combination.reader.open(export(source))
        if leave:
            reader.next()
            reader.leave()
        else:
            reader.rest()
        reader.chunks = reader.async_chunks = None
        return weakref.ref(rows)

    gc.collect()
    gc.disable()
    try:
        for leave in (False, True):
            kept = read(leave)
            wait_until(lambda kept=kept: combination.reader.run(kept) is None)  # type: ignore[misc]
    finally:
        gc.enable()
