"""A channel as a plain iterable: for sources that filter, and for tests."""

import asyncio
import gc
import re
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import date
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest
from combinations import WAIT, wait_until
from limits.channels import listeners, threads_waiting
from werkzeug.datastructures import Headers

from streamkit import Channel, ServerSentEvent, StreamingService, inline, lossless, merge
from streamkit.request import request_context


@pytest.fixture
def channel() -> Iterator[Channel]:
    """One that no other test knows. Nobody listens to it in the end."""
    channel = Channel(f"test-{uuid4()}")
    yield channel
    gc.collect()
    wait_until(lambda: listeners(channel) == 0)


EVENTS = [
    {"id": 7},
    "text",
    "two\nlines",
    [1, None],
    ServerSentEvent({"id": 8}, event="created", retry=5, comment="note"),
]


def expected(channel: Channel) -> list[ServerSentEvent]:
    epoch = channel.last_event_id().partition("-")[0]
    return [
        ServerSentEvent({"id": 7}, id=f"{epoch}-1"),
        ServerSentEvent("text", id=f"{epoch}-2"),
        ServerSentEvent("two\nlines", id=f"{epoch}-3"),
        ServerSentEvent([1, None], id=f"{epoch}-4"),
        ServerSentEvent({"id": 8}, event="created", id=f"{epoch}-5", retry=5, comment="note"),
    ]


def test_a_thread_gets_what_was_published(channel: Channel) -> None:
    events = iter(channel)
    for event in EVENTS:
        channel.publish(event)
    assert [*islice(events, 5)] == expected(channel)


@pytest.mark.parametrize(
    ("published", "read"),
    [
        ((1, 2), [1, 2]),
        ({1: "one"}, {"1": "one"}),
        (date(2026, 11, 26), "2026-11-26"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ("two\r\nlines\r", "two\nlines\n"),
    ],
)
def test_it_is_read_as_json_has_it(channel: Channel, published: Any, read: Any) -> None:
    events = iter(channel)
    channel.publish(published)
    assert next(events).data == read


def test_a_lossless_filter_waits_for_a_slow_client(channel: Channel) -> None:
    events = StreamingService.sse("s", lossless(event for event in channel))
    chunks = events.chunks()
    for number in range(900):
        channel.publish(number)
    got: list[bytes] = []
    while len(got) < 900:
        got += re.findall(rb"data: (\d+)\n", next(chunks))
    assert got == [b"%d" % number for number in range(900)]
    for number in range(3_000):
        channel.publish(number)
    sent = b""
    while b"event: gap\n" not in sent:
        sent = next(chunks)
    chunks.close()


def test_a_task_gets_what_was_published(channel: Channel) -> None:
    async def main() -> list[ServerSentEvent]:
        events = aiter(channel)
        for event in EVENTS:
            await channel.apublish(event)
        return [await anext(events) for _ in EVENTS]

    assert asyncio.run(main()) == expected(channel)


def test_a_thread_waits_for_an_event(channel: Channel) -> None:
    got: list[Any] = []
    events = iter(channel)
    reader = threading.Thread(target=lambda: got.extend(islice(events, 2)))
    reader.start()
    channel.publish(1)
    channel.publish(2)
    reader.join(WAIT)
    assert [event.data for event in got] == [1, 2]


def test_a_task_waits_for_an_event_of_another_thread(channel: Channel) -> None:
    async def main() -> None:
        events = aiter(channel)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await asyncio.to_thread(channel.publish, "here")
        assert (await asyncio.wait_for(waiting, WAIT)).data == "here"

    asyncio.run(main())


def test_it_begins_where_the_client_was(channel: Channel) -> None:
    ids = [channel.publish(number) for number in range(5)]
    with request_context("GET", Headers({"Last-Event-ID": ids[2]}), None):
        assert [event.data for event in islice(channel, 2)] == [3, 4]


class TestPositionOfAFilter:
    """What its client knows is the id of the last event that passed, or what its page was given."""

    def passed(self, channel: Channel, last_event_id: str, events: int) -> list[ServerSentEvent]:
        """The next tens, and gaps, for a client that comes with this id."""
        with request_context("GET", Headers({"Last-Event-ID": last_event_id}), None):
            tens = (each for each in channel if each.event == "gap" or each.data % 10 == 0)
            return [*islice(tens, events)]

    def test_one_that_comes_back_gets_all_that_pass_and_none_twice(self, channel: Channel) -> None:
        begin = channel.last_event_id()
        ids = [channel.publish(number) for number in range(95)]
        (first, second) = self.passed(channel, begin, 2)
        assert (first.data, second.data, second.id) == (0, 10, ids[10])
        rest = self.passed(channel, ids[10], 8)
        assert [each.data for each in rest] == [20, 30, 40, 50, 60, 70, 80, 90]
        assert rest[-1].id == ids[90]

    def test_one_that_drops_before_its_first_event_has_the_position_of_its_page(
        self, channel: Channel
    ) -> None:
        page = channel.last_event_id()
        for number in (1, 2, 3, 10):
            channel.publish(number)
        assert self.passed(channel, page, 1)[0].data == 10

    def test_what_was_held_back_counts_where_it_has_gone(self, channel: Channel) -> None:
        last = channel.publish(0)
        for _ in range(1_001):
            channel.publish(1)
        channel.publish(10)
        gap, ten = self.passed(channel, last, 2)
        assert (gap.event, gap.data) == ("gap", {"missed": 938})
        assert ten.data == 10

    def test_an_id_from_elsewhere_is_a_gap_that_the_filter_is_shown(self, channel: Channel) -> None:
        channel.publish(10)
        gap, ten = self.passed(channel, "7-7", 2)
        assert (gap.data, ten.data) == ({"missed": None}, 10)


def test_gaps_are_among_the_events(channel: Channel) -> None:
    events = iter(channel)
    ids = [channel.publish(number) for number in range(1_100)]
    assert next(events) == ServerSentEvent({"missed": 1_036}, event="gap", id=ids[1_035])
    assert [event.data for event in islice(events, 64)] == [*range(1_036, 1_100)]
    with request_context("GET", Headers({"Last-Event-ID": "7-7"}), None):
        assert next(iter(channel)).data == {"missed": None}


def test_several_channels(channel: Channel) -> None:
    other = Channel(f"{channel.name}-2")
    events = iter(merge(channel, other))
    begin = other.last_event_id()
    first, second = channel.publish(1), other.publish(2)
    assert [*islice(events, 2)] == [
        ServerSentEvent(1, id=f"{first}.{begin}"),
        ServerSentEvent(2, id=f"{first}.{second}"),
    ]
    for number in range(1_100):
        other.publish(number)
    assert next(events).data == {"channel": other.name, "missed": 1_036}


def test_an_id_of_elsewhere_is_a_gap_and_all_that_there_is(channel: Channel) -> None:
    for number in range(3):
        channel.publish(number)
    with request_context("GET", Headers({"Last-Event-ID": "7-7"}), None):
        assert [event.data for event in islice(channel, 4)] == [{"missed": None}, 0, 1, 2]


def test_one_that_was_closed_listens_no_longer(channel: Channel) -> None:
    events = iter(channel)
    assert listeners(channel) == 1
    events.close()
    events.close()
    assert listeners(channel) == 0


def test_each_of_several_channels_has_its_turn(channel: Channel) -> None:
    others = [Channel(f"{channel.name}-{number}") for number in range(2)]
    events = iter(merge(channel, *others))
    for each in (channel, channel, channel, *others):
        each.publish(each.name)
    assert [next(events).data for _ in range(5)] == [
        channel.name,
        others[0].name,
        others[1].name,
        channel.name,
        channel.name,
    ]


class TestTheEnd:
    def test_a_thread_that_waits_gets_it(self, channel: Channel) -> None:
        events = iter(channel)
        got: list[Any] = []
        reader = threading.Thread(target=lambda: got.append([*events]))
        reader.start()
        wait_until(lambda: threads_waiting(channel) == 1)
        events.close()
        reader.join(WAIT)
        assert got == [[]]

    def test_a_task_that_waits_gets_it(self, channel: Channel) -> None:
        async def main() -> None:
            events = aiter(channel)
            waiting = asyncio.ensure_future(anext(events, "the end"))
            await asyncio.sleep(0)
            await events.aclose()
            assert await asyncio.wait_for(waiting, WAIT) == "the end"

        asyncio.run(main())

    def test_nothing_comes_after_it(self, channel: Channel) -> None:
        events = iter(channel)
        channel.publish("in time")
        events.close()
        assert [*events] == []

        async def main() -> None:
            events = aiter(channel)
            await channel.apublish("in time")
            await events.aclose()
            assert [event async for event in events] == []

        asyncio.run(main())


class TestRefusals:
    def test_a_thread_reads_no_channel_on_a_loop(self, channel: Channel) -> None:
        events = iter(channel)
        channel.publish("here")

        async def main() -> None:
            with pytest.raises(RuntimeError, match="would block the event loop: read it by async"):
                next(events)

        asyncio.run(main())
        assert next(events).data == "here"

    def test_two_tasks_wait_for_no_same_event(self, channel: Channel) -> None:
        async def main() -> None:
            events = aiter(channel)
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="let each have an iterator of its own"):
                await asyncio.wait_for(anext(events), WAIT)
            await channel.apublish("here")
            assert (await asyncio.wait_for(waiting, WAIT)).data == "here"
            await channel.apublish("and again")
            assert (await anext(events)).data == "and again"

        asyncio.run(main())

    def test_two_threads_wait_for_no_same_event(self, channel: Channel) -> None:
        events = iter(channel)
        got: list[Any] = []
        reader = threading.Thread(target=lambda: got.append(next(events).data))
        reader.start()
        wait_until(lambda: threads_waiting(channel) == 1)
        with pytest.raises(RuntimeError, match="let each have an iterator of its own"):
            next(events)
        channel.publish("here")
        reader.join(WAIT)
        assert got == ["here"]


def test_the_wait_of_an_inline_source_ends_as_its_consumer_is_made_to_leave(
    channel: Channel,
) -> None:
    chunks = StreamingService.sse("s", inline(e for e in channel)).chunks()
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(chunks))
    reader.start()
    wait_until(lambda: listeners(channel) == 1)
    channel.publish("one")
    wait_until(lambda: len(got) == 1)
    chunks.close()
    reader.join(WAIT)
    assert not reader.is_alive()


def test_a_task_that_is_cancelled_leaves_nothing_waiting(channel: Channel) -> None:
    async def main() -> None:
        async def read() -> None:
            async for _ in channel:
                pass

        tasks = [asyncio.create_task(read()) for _ in range(10)]
        await asyncio.sleep(0)
        assert listeners(channel) == 10
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        del tasks, task
        while listeners(channel):  # noqa: ASYNC110 (a thread closes what was dropped)
            await asyncio.sleep(0.001)

    asyncio.run(main())


class TestWhereItIsMade:
    """A generator expression calls ``aiter`` where it stands: the view, on whatever it runs."""

    def made_on_no_loop(self, channel: Channel) -> AsyncIterator[ServerSentEvent]:
        return (event async for event in channel)

    def made_on_another_loop(self, channel: Channel) -> AsyncIterator[ServerSentEvent]:
        async def view() -> AsyncIterator[ServerSentEvent]:
            return (event async for event in channel)

        return asyncio.run(view())

    def made_and_read_on_another_loop(self, channel: Channel) -> AsyncIterator[ServerSentEvent]:
        async def view() -> AsyncIterator[ServerSentEvent]:
            events = aiter(channel)
            await channel.apublish("before")
            assert (await anext(events)).data == "before"
            return events

        return asyncio.run(view())

    MADE = pytest.mark.parametrize(
        "made", [made_on_no_loop, made_on_another_loop, made_and_read_on_another_loop]
    )

    @MADE
    def test_it_is_read_on_any_loop(self, channel: Channel, made: Any) -> None:
        events = made(self, channel)
        channel.publish("since it was made")

        async def main() -> None:
            assert (await anext(events)).data == "since it was made"
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await asyncio.to_thread(channel.publish, "later")
            assert (await asyncio.wait_for(waiting, WAIT)).data == "later"
            assert listeners(channel) == 1

        asyncio.run(main())

    @MADE
    def test_it_is_streamed_by_a_thread(self, channel: Channel, made: Any) -> None:
        events = made(self, channel)
        chunks = StreamingService.sse("s", events).chunks()
        for event in ("one", "two"):
            channel.publish(event)
            assert b"data: %b\n" % event.encode() in next(chunks)
        chunks.close()

    @MADE
    def test_it_may_go_unread(self, channel: Channel, made: Any) -> None:
        events = made(self, channel)
        assert listeners(channel) == 1
        del events
