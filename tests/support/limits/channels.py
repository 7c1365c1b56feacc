"""What is true of a stream of channels in every adapter."""

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from uuid import uuid4

import pytest
from combinations import outcomes, value, wait_until
from downloads.clients import Answer
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import Channel, ServerSentEvent, lossless, merge
from streamkit.channels.engine import engine
from streamkit.channels.memory import Memory
from streamkit.testing import Event, connect

__all__ = ["ChannelSuite"]


class ChannelSuite:
    @abstractmethod
    def serve(
        self, view: Callable[[Any], Any], *, max_streams: int | None = None
    ) -> AbstractContextManager[Callable[..., Any]]: ...

    @abstractmethod
    def ask(self, app: Any, method: str = "GET", **headers: str) -> Answer: ...

    @abstractmethod
    def wrap(self, response: Any) -> Any: ...

    @pytest.fixture
    def channel(self) -> Iterator[Channel]:
        """One that no other test knows. Nobody listens to it in the end."""
        channel = Channel(f"test-{uuid4()}")
        yield channel
        wait_until(lambda: listeners(channel) == 0)

    @pytest.fixture
    def other(self) -> Iterator[Channel]:
        channel = Channel(f"other-{uuid4()}")
        yield channel
        wait_until(lambda: listeners(channel) == 0)

    def test_a_client_is_told_where_it_begins_and_gets_what_is_published(
        self, channel: Channel
    ) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app, connect(app) as client:
            begin = channel.last_event_id()
            epoch = begin.removesuffix("-0")
            assert client.headers["Content-Type"].startswith("text/event-stream")
            assert client.headers["Cache-Control"] == "no-cache, no-transform"
            assert client.chunk() == b"event: subscribed\ndata: {}\nid: %b\n\n" % begin.encode()
            assert channel.publish({"id": 7}) == f"{epoch}-1"
            assert client.chunk() == f'data: {{"id":7}}\nid: {epoch}-1\n\n'.encode()
            channel.publish(ServerSentEvent("text", event="created"))
            assert client.event() == Event("{}", "subscribed", begin)
            assert client.event() == Event('{"id":7}', last_event_id=f"{epoch}-1")
            assert client.event() == Event("text", "created", f"{epoch}-2")

    def test_all_clients_get_the_same(self, channel: Channel, clients: ExitStack) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app:
            connected = [clients.enter_context(connect(app)) for _ in range(5)]
            assert listeners(channel) == 5
            for number in range(10):
                channel.publish(number)
            for client in connected:
                assert client.event().type == "subscribed"
                assert [client.event().data for _ in range(10)] == [str(n) for n in range(10)]

    @pytest.mark.parametrize("by_query", [False, True], ids=["header", "query"])
    def test_a_client_that_comes_back_is_sent_what_it_missed(
        self, channel: Channel, by_query: bool
    ) -> None:
        ids = [channel.publish(number) for number in range(500)]
        headers = {} if by_query else {"Last-Event-ID": ids[100]}
        path = f"/?lastEventId={ids[100]}" if by_query else "/"
        with (
            self.serve(lambda s: s.sse("s", channel)) as app,
            connect(app, path, headers=headers) as client,
        ):
            channel.publish(500)
            got = [client.event() for _ in range(400)]
            assert [event.data for event in got] == [str(number) for number in range(101, 501)]
            assert [event.last_event_id for event in got[:-1]] == ids[101:]

    def test_a_client_that_drops_before_its_first_event_misses_nothing(
        self, channel: Channel
    ) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app:
            with connect(app) as client:
                first = client.event()
            channel.publish("meanwhile")
            with connect(app, headers={"Last-Event-ID": first.last_event_id}) as client:
                assert client.event().data == "meanwhile"

    @pytest.mark.parametrize("last_event_id", ["41", "1764150000123-7", "x" * 500, "7-1.7-1"])
    def test_an_id_from_elsewhere_is_a_gap_and_the_latest_events(
        self, channel: Channel, last_event_id: str, registry: CollectorRegistry
    ) -> None:
        ids = [channel.publish(number) for number in range(100)]
        headers = {"Last-Event-ID": last_event_id}
        with (
            self.serve(lambda s: s.sse("s", channel)) as app,
            connect(app, headers=headers) as client,
        ):
            assert client.event() == Event('{"missed":null}', "gap", ids[35])
            assert [client.event().data for _ in range(64)] == [str(n) for n in range(36, 100)]
            assert value(registry, "channel_gaps_total", channel=channel.name) == 1
            assert value(registry, "stream_dropped_total") == 0

    def test_a_slow_client_gets_a_gap_and_the_latest_events(
        self, channel: Channel, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.channels.subscriber.MAX_AWAY", -1.0)
        with self.serve(lambda s: s.sse("s", channel)) as app, connect(app) as client:
            client.event()
            ids = [channel.publish(number) for number in range(200)]
            events = [client.event()]
            # It may have waited for the first one when that came.
            while events[-1].type != "gap":
                events.append(client.event())
            missed = json.loads(events[-1].data)["missed"]
            assert missed + len(events) - 1 == 136
            assert events[-1].last_event_id == ids[135]
            assert [client.event().data for _ in range(64)] == [str(n) for n in range(136, 200)]
            client.disconnect()
        wait_until(lambda: value(registry, "stream_dropped_total") == missed)
        assert value(registry, "stream_elements_total") == 200

    def test_a_lossless_client_gets_all_however_slow_it_is(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.channels.subscriber.MAX_AWAY", -1.0)
        with self.serve(lambda s: s.sse("s", lossless(channel))) as app, connect(app) as client:
            client.event()
            for number in range(900):
                channel.publish(number)
            assert [client.event().data for _ in range(900)] == [str(n) for n in range(900)]

    def test_several_channels_are_one_stream(self, channel: Channel, other: Channel) -> None:
        inbox = merge(channel, other)
        with self.serve(lambda s: s.sse("s", inbox)) as app:
            with connect(app) as client:
                begin = f"{channel.last_event_id()}.{other.last_event_id()}"
                assert inbox.last_event_id() == begin
                assert client.event() == Event("{}", "subscribed", begin)
                first = channel.publish("one")
                assert client.event() == Event(
                    "one", last_event_id=f"{first}.{other.last_event_id()}"
                )
                second = other.publish("two")
                assert client.event() == Event("two", last_event_id=f"{first}.{second}")
            third, fourth = channel.publish("three"), other.publish("four")
            with connect(app, headers={"Last-Event-ID": f"{first}.{second}"}) as client:
                assert client.event() == Event("three", last_event_id=f"{third}.{second}")
                assert client.event() == Event("four", last_event_id=f"{third}.{fourth}")
            elsewhere = {"Last-Event-ID": f"{first}.7-1"}
            with connect(app, headers=elsewhere) as client:
                # To be told of the gap once more, should it drop before that.
                assert client.event() == Event("three", last_event_id=f"{third}.1-0")
                assert client.event() == Event(
                    f'{{"channel":"{other.name}","missed":null}}',
                    "gap",
                    f"{third}.{other_at(other, 0)}",
                )
                assert client.event() == Event("two", last_event_id=f"{third}.{second}")

    def test_a_page_may_begin_where_its_state_was_read(self, channel: Channel) -> None:
        state = channel.last_event_id()
        channel.publish("since")
        with (
            self.serve(lambda s: s.sse("s", channel)) as app,
            connect(app, f"/?lastEventId={state}") as client,
        ):
            assert client.event().data == "since"

    @pytest.mark.parametrize(
        ("accept", "expected"),
        [("*/*", b": heartbeat\n\n"), ("text/event-stream", b": heartbeat\n")],
    )
    def test_heartbeats_come_and_end_as_their_reader_likes(
        self, channel: Channel, accept: str, expected: bytes
    ) -> None:
        with (
            self.serve(lambda s: s.sse("s", channel)) as app,
            connect(app, headers={"Accept": accept}) as client,
        ):
            client.chunk()
            client.heartbeat()
            assert client.chunk() == expected

    def test_it_is_retired_like_any_live_stream(
        self, channel: Channel, registry: CollectorRegistry
    ) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app, connect(app) as client:
            client.chunk()
            client.shutdown()
            assert re.fullmatch(rb"retry: \d+\n\n", client.read())
        wait_until(lambda: outcomes(registry) == {"retired": 1})

    def test_a_retry_of_the_applications_own_is_kept(self, channel: Channel) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app, connect(app) as client:
            channel.publish(ServerSentEvent("x", retry=5))
            client.event()
            client.event()
            client.shutdown()
            assert client.read().count(b"retry: ") == 1

    @pytest.mark.usefixtures("_shut_down")
    def test_none_is_let_in_once_the_process_is_shut_down(self, channel: Channel) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app:
            assert self.ask(app).status == 503

    def test_one_that_leaves_makes_room_and_leaves_nothing_behind(
        self, channel: Channel, registry: CollectorRegistry
    ) -> None:
        with self.serve(lambda s: s.sse("s", channel), max_streams=1) as app:
            for _ in range(3):
                with connect(app) as client:
                    assert self.ask(app).status == 503
                    assert value(registry, "channel_subscribers", channel=channel.name) == 1
                    client.disconnect()
                    client.assert_source_closed()
                wait_until(lambda: listeners(channel) == 0)
                assert value(registry, "channel_subscribers", channel=channel.name) == 0
            assert value(registry, "stream_active") == 0
            assert outcomes(registry) == {"disconnected": 3}

    def test_head_listens_to_nothing(self, channel: Channel, registry: CollectorRegistry) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app:
            assert self.ask(app, "HEAD").status == 200
        assert value(registry, "channel_subscribers", channel=channel.name) == 0
        assert value(registry, "stream_active") == 0

    def test_it_is_counted_as_any_event_stream(
        self, channel: Channel, registry: CollectorRegistry
    ) -> None:
        with self.serve(lambda s: s.sse("s", channel)) as app, connect(app) as client:
            size = len(client.chunk())
            channel.publish(1)
            channel.publish(2)
            client.event(), client.event(), client.event()
            assert value(registry, "channel_published_total", channel=channel.name) == 2
            assert value(registry, "stream_active", kind="sse", stream="s") == 1
            client.disconnect()
            client.assert_source_closed()
        wait_until(lambda: outcomes(registry) == {"disconnected": 1})
        assert value(registry, "stream_elements_total", kind="sse") == 2
        assert value(registry, "stream_bytes_total", kind="sse") > size

    def test_something_may_be_put_around_it(self, channel: Channel) -> None:
        with (
            self.serve(lambda s: self.wrap(s.sse("s", channel))) as app,
            connect(app) as client,
        ):
            assert client.event().type == "subscribed"
            channel.publish("inside")
            assert client.event().data == "inside"

    def test_a_thread_may_filter_it(self, channel: Channel) -> None:
        def mine() -> Any:
            return (e for e in channel if e.event == "gap" or e.data["user"] == 7)

        self.filters(channel, mine)

    def test_a_task_may_filter_it(self, channel: Channel) -> None:
        def mine() -> Any:
            # aiter is called here, on whatever the view runs.
            return (e async for e in channel if e.event == "gap" or e.data["user"] == 7)

        self.filters(channel, mine)

    def filters(self, channel: Channel, mine: Callable[[], Any]) -> None:
        """Its position is where the client was, and its wait ends when the client leaves."""
        published = [channel.publish({"user": user}) for user in (7, 8, 7)]
        with self.serve(lambda s: s.sse("s", mine())) as app:
            with connect(app, headers={"Last-Event-ID": published[0]}) as client:
                assert client.event() == Event('{"user":7}', last_event_id=published[2])
                wait_until(lambda: listeners(channel) == 1)
                channel.publish({"user": 8})
                fifth = channel.publish({"user": 7})
                assert client.event().last_event_id == fifth
                client.disconnect()
                client.assert_source_closed()
            with connect(app, headers={"Last-Event-ID": "7-7"}) as client:
                assert client.event() == Event('{"missed":null}', "gap", other_at(channel, 0))

    def test_serialize_is_refused(self, channel: Channel) -> None:
        with pytest.raises(TypeError, match="serialize must be None for a channel"):
            streamkit.StreamingService.sse("s", channel, str)


def listeners(channel: Channel) -> int:
    memory = engine()
    assert isinstance(memory, Memory)
    hub = memory._hubs.peek(channel.name)
    return 0 if hub is None else hub.listeners


def threads_waiting(channel: Channel) -> int:
    memory = engine()
    assert isinstance(memory, Memory)
    hub = memory._hubs.peek(channel.name)
    return 0 if hub is None else len(hub.threads.waiting)


def other_at(channel: Channel, number: int) -> str:
    """The id of an event of this number."""
    return f"{channel.last_event_id().partition('-')[0]}-{number}"
