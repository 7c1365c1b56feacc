"""Who is woken by an event: threads, and the tasks of any number of loops."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from combinations import WAIT, wait_until
from limits.channels import listeners
from prometheus_client import CollectorRegistry

from streamkit import Channel, StreamingService, kind, merge
from streamkit.channels import audience as audiences
from streamkit.channels.engine import engine
from streamkit.channels.hub import Hub
from streamkit.channels.memory import Memory

EVENTS = 200


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel(f"test-{uuid4()}")
    yield channel
    wait_until(lambda: listeners(channel) == 0)


class ThreadReaders:
    """Threads that read a stream each until they have seen so many events."""

    def __init__(self, source: Any, readers: int, events: int = EVENTS) -> None:
        self.bodies: list[bytes] = []
        self.subscribed = threading.Semaphore(0)
        self._events = events
        self._threads = [
            threading.Thread(target=self._read, args=(source,)) for _ in range(readers)
        ]
        for thread in self._threads:
            thread.start()
        for _ in range(readers):
            assert self.subscribed.acquire(timeout=WAIT)

    def _read(self, source: Any) -> None:
        chunks = StreamingService.sse("s", source).chunks()
        body = next(chunks)
        self.subscribed.release()
        while body.count(b"data: ") - 1 < self._events:
            body += next(chunks)
        chunks.close()
        self.bodies.append(body)

    def join(self) -> list[bytes]:
        for thread in self._threads:
            thread.join(6 * WAIT)
            assert not thread.is_alive()
        return self.bodies


class LoopReaders(ThreadReaders):
    """The same as tasks of a loop of their own."""

    def __init__(self, source: Any, readers: int, events: int = EVENTS) -> None:
        self._readers = readers
        super().__init__(source, 1, events)
        for _ in range(readers - 1):
            assert self.subscribed.acquire(timeout=WAIT)

    def _read(self, source: Any) -> None:
        async def read() -> None:
            chunks = aiter(StreamingService.sse("s", source))
            body = await anext(chunks)
            self.subscribed.release()
            while body.count(b"data: ") - 1 < self._events:
                body += await anext(chunks)
            await chunks.aclose()
            self.bodies.append(body)

        async def main() -> None:
            await asyncio.gather(*(read() for _ in range(self._readers)))

        asyncio.run(main())


async def until_they_wait(channel: Channel, readers: int) -> audiences.LoopAudience:
    """Those of the running loop, which may have something to do before."""
    audience = hub_of(channel)._loops[asyncio.get_running_loop()]
    async with asyncio.timeout(WAIT):
        while len(audience.waiting) < readers:  # noqa: ASYNC110 (turns of the loop, and no more)
            await asyncio.sleep(0)
    return audience


def hub_of(channel: Channel) -> Hub:
    memory = engine()
    assert isinstance(memory, Memory)
    hub = memory._hubs.peek(channel.name)
    assert hub is not None
    return hub


def data(body: bytes) -> list[str]:
    lines = [line[6:].decode() for line in body.split(b"\n") if line.startswith(b"data: ")]
    assert lines[0] == "{}"
    return lines[1:]


def test_threads_and_loops_all_see_each_event(
    channel: Channel, registry: CollectorRegistry
) -> None:
    threads = ThreadReaders(channel, 50)
    loops = [LoopReaders(channel, 50) for _ in range(3)]
    publishers = [
        threading.Thread(target=lambda: [channel.publish(number) for number in range(EVENTS // 4)])
        for _ in range(4)
    ]
    for publisher in publishers:
        publisher.start()
    bodies = threads.join() + [body for each in loops for body in each.join()]
    assert len(bodies) == 200
    # On a busy machine one may have had a heartbeat before its first event.
    assert len({body.replace(b": heartbeat\n\n", b"") for body in bodies}) == 1
    assert sorted(map(int, data(bodies[0]))) == sorted(4 * [*range(EVENTS // 4)])


def test_events_that_are_paced_reach_all(channel: Channel) -> None:
    """Each of them finds all readers waiting."""
    threads = ThreadReaders(channel, 30, events=20)
    loops = LoopReaders(channel, 30, events=20)
    hub = hub_of(channel)
    for number in range(20):
        wait_until(lambda: len(hub.threads.waiting) == 30)
        channel.publish(number)
    for body in threads.join() + loops.join():
        assert data(body) == [str(number) for number in range(20)]


def test_who_listens_to_several_is_woken_by_any(channel: Channel) -> None:
    other = Channel(f"{channel.name}-2")
    merged = merge(channel, other)
    readers = [ThreadReaders(merged, 20, events=40), LoopReaders(merged, 20, events=40)]
    for number in range(20):
        channel.publish(number)
        other.publish(number)
    for body in [body for each in readers for body in each.join()]:
        assert sorted(map(int, data(body))) == sorted(2 * [*range(20)])


def test_a_publisher_pays_once_a_loop(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        streams = [aiter(StreamingService.sse("s", channel)) for _ in range(300)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await until_they_wait(channel, 300)
        call_soon = loop.call_soon_threadsafe

        def noted(*call: Any) -> Any:
            calls.append(call)
            return call_soon(*call)

        monkeypatch.setattr(loop, "call_soon_threadsafe", noted)
        publisher = threading.Thread(target=lambda: [channel.publish(n) for n in range(100)])
        publisher.start()
        # The loop does nothing meanwhile.
        publisher.join()
        chunks = await asyncio.gather(*waiting)
        assert len(calls) == 1
        assert {*chunks} == {chunks[0]}
        assert chunks[0].count(b"data: ") == 100
        for stream in streams:
            await stream.aclose()

    asyncio.run(main())


def test_who_was_slow_and_waits_for_the_next_event_is_slow_no_longer(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamkit.channels.subscriber.MAX_AWAY", -1.0)

    async def main() -> None:
        stream = aiter(StreamingService.sse("s", channel))
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await until_they_wait(channel, 1)
        for number in range(100):
            # The loop does nothing meanwhile.
            await channel.apublish(number)
        assert (await waiting).count(b"data: ") == 100
        await stream.aclose()

    asyncio.run(main())


def test_a_loop_wakes_its_tasks_some_at_a_time(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiences, "PORTION", 10)

    async def main() -> None:
        streams = [aiter(StreamingService.sse("s", channel)) for _ in range(100)]
        for stream in streams:
            await anext(stream)
        done = 0

        async def read(stream: Any) -> None:
            nonlocal done
            await anext(stream)
            done += 1

        reading = [asyncio.create_task(read(stream)) for stream in streams]
        await until_they_wait(channel, 100)
        await channel.apublish("x")
        steps = []
        while done < 100:
            await asyncio.sleep(0)
            steps.append(done)
        turns = len({*steps})
        assert turns >= 8
        await asyncio.gather(*reading)
        for stream in streams:
            await stream.aclose()

    asyncio.run(main())


def test_all_get_their_heartbeats(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=0.2))

    async def main() -> None:
        streams = [aiter(StreamingService.sse("s", channel)) for _ in range(50)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await until_they_wait(channel, 50)
        assert {*await asyncio.gather(*waiting)} == {b": heartbeat\n\n"}
        for stream in streams:
            await stream.aclose()

    asyncio.run(main())


def test_threads_do_not_turn_while_nothing_happens(channel: Channel) -> None:
    readers = ThreadReaders(channel, 50, events=1)
    hub = hub_of(channel)
    wait_until(lambda: len(hub.threads.waiting) == 50)
    used = time.process_time()
    threading.Event().wait(0.3)
    assert time.process_time() - used < 0.1
    channel.publish("x")
    readers.join()


def test_a_thread_that_times_out_is_no_weak_link() -> None:
    """Those who are woken by one another are woken though some have just left."""
    audience = audiences.ThreadAudience()
    event = threading.Event()
    done: list[int] = []

    def wait(timeout: float | None) -> None:
        waiter = audiences.ThreadWaiter([audience])
        while not event.is_set():
            waiter.wait(event.is_set, timeout)
        done.append(1)

    threads = [
        threading.Thread(target=wait, args=(0.001 if number % 2 else None,)) for number in range(40)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(audience.waiting) >= 20)
    event.set()
    audience.take().go_on()
    for thread in threads:
        thread.join(WAIT)
    assert len(done) == 40
    assert not audience.waiting


def test_who_comes_as_the_others_are_taken_waits_for_what_is_next() -> None:
    """For it has seen what these are woken for, and is to be woken with nobody but the next."""
    audience = audiences.ThreadAudience()
    early, late = (audiences.ThreadWaiter([audience]) for _ in range(2))

    class Taken(audiences.Wave):
        """While the second is on its way to it."""

        def __setitem__(self, waiter: audiences.ThreadWaiter, value: None) -> None:
            if waiter is late:
                audience.take().go_on()
            super().__setitem__(waiter, value)

    audience.waiting = Taken()
    threads = [threading.Thread(target=early.wait, args=(lambda: False, WAIT))]
    threads[0].start()
    wait_until(lambda: early in audience.waiting)
    woken: list[bool] = []
    threads.append(threading.Thread(target=lambda: woken.append(late.wait(lambda: False, WAIT))))
    threads[1].start()
    wait_until(lambda: late in audience.waiting)
    audience.take().go_on()
    for thread in threads:
        thread.join(WAIT)
    assert woken == [True]


def test_a_loop_that_is_closed_is_no_hindrance(channel: Channel) -> None:
    runner = asyncio.Runner()

    async def subscribe() -> Any:
        stream = aiter(StreamingService.sse("s", channel))
        await anext(stream)
        return stream, asyncio.ensure_future(anext(stream))

    stream, waiting = runner.run(subscribe())
    runner.close()
    assert waiting.cancelled()
    channel.publish("nobody is there")
    stream.leave()


def test_thousands_that_vanish_leave_nothing_behind(
    channel: Channel, registry: CollectorRegistry
) -> None:
    async def main() -> None:
        streams = [aiter(StreamingService.sse("s", channel)) for _ in range(3_000)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.create_task(anext(stream)) for stream in streams]
        audience = await until_they_wait(channel, 3_000)
        for stream in streams:
            stream.leave()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not audience.waiting
        assert not audience._to_wake
        assert not hub_of(channel)._loops

    asyncio.run(main())
    assert registry.get_sample_value("channel_subscribers", {"channel": channel.name}) == 0


@pytest.mark.parametrize("on_loop", [True, False], ids=["on the loop", "on a thread"])
def test_whoever_is_outrun_is_told_of_gaps_that_add_up(channel: Channel, on_loop: bool) -> None:
    """A publisher of thousands waits for nobody."""
    events, readers = 10_000, 300

    async def read(stream: Any) -> tuple[int, int]:
        seen = missed = 0
        last = None
        while seen + missed < events:
            for event in (await anext(stream)).split(b"\n\n")[:-1]:
                number = int(event.rpartition(b"-")[2])
                gap = re.search(rb'^event: gap\ndata: {"missed":(\d+)}', event)
                if gap is not None:
                    missed += int(gap[1])
                elif not event.startswith(b":"):
                    seen += 1
                assert number == seen + missed or event.startswith(b":")
                last = number
        assert last == events
        await stream.aclose()
        return seen, missed

    async def main() -> None:
        streams = [aiter(StreamingService.sse("s", channel)) for _ in range(readers)]
        for stream in streams:
            await anext(stream)
        reading = [asyncio.create_task(read(stream)) for stream in streams]
        await until_they_wait(channel, readers)
        if on_loop:
            for number in range(events):
                await channel.apublish(number)
        else:
            await asyncio.to_thread(lambda: [channel.publish(number) for number in range(events)])
        found = await asyncio.gather(*reading)
        assert {seen + missed for seen, missed in found} == {events}
        if on_loop:
            assert {*found} == {(64, events - 64)}

    asyncio.run(main())
