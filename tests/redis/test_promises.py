"""What a channel promises, kept by Redis: over several processes, each with all that is its own."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from redis_followers import Follower, parsed, publish, until
from redis_server import RedisServer, redis_server

from streamkit import Channel, FellBehind, ServerSentEvent, channels
from streamkit.channels import engine as engine_module
from streamkit.channels import hubs
from streamkit.channels.frame import MAX_EVENT_BYTES, frame_of
from streamkit.channels.memory import Memory
from streamkit.channels.position import ids
from streamkit.channels.redis import engine as engines
from streamkit.channels.redis import histories
from streamkit.channels.redis.engine import Redis
from streamkit.channels.redis.log import KEEP_FOR, key_of

pytestmark = pytest.mark.usefixtures("patient")

VALUES: list[Any] = [
    {"id": 7},
    "text",
    "lines\nof\r\ntext",
    "",
    [],
    0,
    "é\U0001f600\ud800",
    "7",
    7,
    ServerSentEvent({"id": 7}, event="created"),
    ServerSentEvent("text", event="created", retry=5, comment="a\nb"),
]


class TestPublishing:
    @pytest.mark.parametrize("value", VALUES, ids=repr)
    def test_each_process_reads_what_any_publishes(
        self, process: Redis, other: Redis, name: str, value: Any
    ) -> None:
        followers = [Follower(each, name).placed() for each in (process, other)]
        event_id = publish(process, name, value)
        in_memory = publish(memory := Memory(), name, value)
        expected = Follower(memory, name, after=f"{parsed(in_memory).epoch}-0").event()
        for follower in followers:
            event = follower.event()
            assert event.id == event_id
            assert (event.data, event.event, event.retry, event.comment) == (
                expected.data,
                expected.event,
                expected.retry,
                expected.comment,
            )

    def test_numbers_go_up_by_one_whoever_publishes(
        self, process: Redis, other: Redis, name: str
    ) -> None:
        follower = Follower(other, name).placed()
        ids = [publish(each, name, n) for n in range(10) for each in (process, other)]
        numbers = [parsed(event_id).number for event_id in ids]
        assert numbers == [*range(1, 21)]
        assert follower.data(20) == [n for n in range(10) for _ in range(2)]
        assert not follower.gaps

    def test_a_loop_publishes_without_a_thread(self, process: Redis, name: str) -> None:
        async def published() -> list[str]:
            frames = [frame_of(n) for n in range(100)]
            ids = await asyncio.gather(*(process.apublish(name, frame) for frame in frames))
            assert [*map(str, await process.apositions([name]))] == [ids[-1]]
            return ids

        before = threading.active_count()
        ids = asyncio.run(published())
        assert [parsed(event_id).number for event_id in ids] == [*range(1, 101)]
        assert [parsed(event_id).number for event_id in asyncio.run(published())][-1] == 200
        assert threading.active_count() == before
        assert not process._links

    def test_threads_publish_at_the_same_time(
        self, process: Redis, other: Redis, name: str
    ) -> None:
        follower = Follower(other, name).placed()

        def work() -> None:
            for n in range(50):
                publish(process, name, n)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(follower.data(400)) == sorted([*range(50)] * 8)
        assert not follower.gaps

    def test_who_publishes_and_listens_gets_what_comes_after_the_call(
        self, process: Redis, name: str
    ) -> None:
        """Though it is not known by then where that begins."""
        follower = Follower(process, name)
        publish(process, name, 1)
        publish(process, name, 2)
        assert follower.data(2) == [1, 2]

    def test_the_largest_event_arrives(self, process: Redis, other: Redis, name: str) -> None:
        follower = Follower(other, name).placed()
        largest = "x" * (MAX_EVENT_BYTES - len("data: \n"))
        publish(process, name, largest)
        assert follower.data(1) == [largest]
        with pytest.raises(ValueError, match="larger than 256 KiB"):
            publish(process, name, largest + "x")

    def test_large_events_shorten_the_history(
        self, redis: RedisServer, process: Redis, name: str
    ) -> None:
        for _ in range(40):
            publish(process, name, "x" * 250_000)
        assert 16 <= redis.ask("XLEN", key_of(name)) <= 18


class TestPositions:
    def test_the_first_look_begins_the_history(self, process: Redis, other: Redis) -> None:
        first = process.positions(["a", "b"])
        assert [position.number for position in first] == [0, 0]
        assert first == other.positions(["a", "b"])
        assert publish(other, "a", 1) == f"{first[0].epoch}-1"

    @pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
    def test_a_client_that_comes_back_gets_what_it_missed(
        self, process: Redis, other: Redis, name: str, is_warm: bool
    ) -> None:
        if is_warm:
            Follower(other, name).placed()
        (begin,) = process.positions([name])
        for n in range(100):
            publish(process, name, n)
        follower = Follower(other, name, after=str(begin))
        assert follower.data(100) == [*range(100)]
        follower = Follower(other, name, after=f"{begin.epoch}-98")
        assert follower.data(2) == [98, 99]
        assert not follower.gaps

    def test_one_who_knows_more_than_this_process_is_not_told_of_a_gap(
        self, process: Redis, other: Redis, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it was sent by another process has not reached this one."""
        warm = Follower(other, name).placed()
        monkeypatch.setattr(histories.HistoryReader, "_take_message", lambda *_: None)
        publish(process, name, 1)
        event_id = publish(process, name, 2)
        follower = Follower(other, name, after=event_id)
        monkeypatch.undo()
        publish(process, name, 3)
        assert follower.data(1) == [3]
        assert warm.data(3) == [1, 2, 3]
        assert not follower.gaps
        assert not warm.gaps

    @pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
    @pytest.mark.parametrize("after", ["7-7", "999999999999999-1", "{epoch}-200", "1-0"])
    def test_an_id_of_elsewhere_is_told_of_a_gap(
        self, process: Redis, other: Redis, name: str, is_warm: bool, after: str
    ) -> None:
        for n in range(100):
            publish(process, name, n)
        (top,) = process.positions([name])
        if is_warm:
            Follower(other, name).placed()
        follower = Follower(other, name, after=after.format(epoch=top.epoch))
        follower.position = None
        assert follower.data(64) == [*range(36, 100)]
        assert follower.gaps == [None]

    def test_what_is_no_longer_kept_is_a_gap_that_says_how_many(
        self, process: Redis, other: Redis, name: str
    ) -> None:
        first = publish(process, name, 0)
        frame = frame_of(1)
        for _ in range(1300):
            process.publish(name, frame)
        follower = Follower(other, name, after=first)
        assert follower.data(64) == [1] * 64
        assert follower.gaps == [1300 - 64]

    def test_several_channels_have_a_position_each(self, process: Redis, other: Redis) -> None:
        begin = ids(process.positions(["all", "mine"]))
        publish(process, "all", 1)
        publish(process, "mine", 2)
        events = Follower(other, "all", "mine", after=begin).events
        assert sorted(next(events).data for _ in range(2)) == [1, 2]
        for _ in range(1300):
            publish(process, "mine", 3)
        events = Follower(process, "all", "mine", after=begin).events
        assert [next(events).data for _ in range(2)] == [
            1,
            {"channel": "mine", "missed": 1301 - 64},
        ]


class TestReading:
    def test_one_read_a_channel_however_many_come_back(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        (begin,) = process.positions([name])
        for n in range(100):
            publish(process, name, n)
        before = redis.calls("xrange")
        followers = [Follower(other, name, after=str(begin)) for _ in range(200)]
        for follower in followers:
            assert follower.data(100) == [*range(100)]
        assert redis.calls("xrange") - before == 1

    def test_two_connections_a_process_however_many_listen(
        self, redis: RedisServer, process: Redis, other: Redis
    ) -> None:
        before = redis.connections()
        for number in range(50):
            Follower(process, f"{number}").placed()
        assert redis.connections() - before == 2
        for number in range(50):
            Follower(other, f"{number}").placed()
        assert redis.connections() - before == 4
        readers = [each for each in threading.enumerate() if each.name == "streamkit-channels"]
        assert len(readers) == 2

    def test_a_lost_message_is_repaired(
        self, process: Redis, other: Redis, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        follower = Follower(other, name).placed()
        with monkeypatch.context() as patch:
            lost = threading.Event()
            patch.setattr(histories.HistoryReader, "_take_message", lambda *_: lost.set())
            publish(process, name, 1)
            assert lost.wait(10)
        publish(process, name, 2)
        assert follower.data(2) == [1, 2]
        assert not follower.gaps

    def test_what_is_gone_from_the_history_is_a_gap(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        follower = Follower(other, name).placed()
        lossless = Follower(other, name, is_lossless=True).placed()
        publish(process, name, 1)
        assert follower.data(1) == lossless.data(1) == [1]
        # None of these comes as a message.
        (top,) = process.positions([name])
        for number in range(2, 7):
            redis.ask("XADD", key_of(name), f"{top.epoch}-{number}", "f", b"tdata: x\n")
        for number in range(2, 6):
            redis.ask("XDEL", key_of(name), f"{top.epoch}-{number}")
        publish(process, name, 7)
        assert follower.data(2) == ["x", 7]
        assert follower.gaps == [4]
        with pytest.raises(FellBehind):
            lossless.data(1)

    def test_the_last_who_listens_leaves_nothing_behind(
        self,
        redis: RedisServer,
        processes: Callable[[str], Redis],
        name: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(engines, "MAX_IDLE", 0.2)
        monkeypatch.setattr(histories.HistoryReader, "chores_interval", 0.1)
        before = redis.connections()
        process = processes(redis.url)
        stays, leaves = Follower(process, name).placed(), Follower(process, "leaves").placed()
        leaves.leave()
        until(lambda: len(redis.ask("PUBSUB", "CHANNELS", "streamkit:0:channel:*")) == 1)
        publish(process, name, 1)
        assert stays.data(1) == [1]
        again = Follower(process, "leaves").placed()
        publish(process, "leaves", 2)
        assert again.data(1) == [2]
        stays.leave()
        again.leave()
        process.server.close()
        until(lambda: redis.connections() == before)
        assert process._hubs._weight == 0
        assert not [each for each in threading.enumerate() if each.name == "streamkit-channels"]
        last = Follower(process, name).placed()
        publish(process, name, 3)
        assert last.data(1) == [3]

    def test_all_channels_together_are_bounded(
        self, process: Redis, other: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hubs, "MAX_BYTES", 200_000)
        for number in range(20):
            follower = Follower(other, f"{number}").placed()
            for _ in range(20):
                publish(process, f"{number}", "x" * 1000)
            follower.data(20)
            follower.leave()
        held = sum(hub.ring.weight for hub in other._hubs)
        assert held == other._hubs._weight <= 200_000
        assert 5 <= len(other._hubs) < 10


class TestKeeping:
    def test_a_history_is_kept_for_three_hours_after_an_event_or_a_look(
        self, redis: RedisServer, process: Redis
    ) -> None:
        process.positions(["a"])
        publish(process, "b", 1)
        for name in "ab":
            assert KEEP_FOR - 60 < redis.ask("TTL", key_of(name)) <= KEEP_FOR
            redis.ask("EXPIRE", key_of(name), 5)
        process.positions(["a"])
        publish(process, "b", 1)
        for name in "ab":
            assert redis.ask("TTL", key_of(name)) > KEEP_FOR - 60

    def test_who_listens_keeps_it(
        self, redis: RedisServer, process: Redis, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(histories.HistoryReader, "chores_interval", 0.05)
        monkeypatch.setattr(histories, "KEEP_INTERVAL", 0.1)
        follower = Follower(process, name).placed()
        Follower(process, "left").placed().leave()
        for each in (name, "left"):
            redis.ask("EXPIRE", key_of(each), 500)
        until(lambda: redis.ask("TTL", key_of(name)) > KEEP_FOR - 60)
        assert redis.ask("TTL", key_of("left")) <= 500
        follower.leave()


class TestProcesses:
    def test_a_child_has_connections_of_its_own(self, redis: RedisServer, name: str) -> None:
        channels.use(redis.url)
        channel = Channel(name)
        channel.publish(0)
        follower = Follower(channels.engine.engine(), name).placed()
        child = os.fork()
        if child == 0:
            code = 1
            with suppress(BaseException):
                own = Follower(channels.engine.engine(), name).placed()
                channel.publish("child")
                code = 0 if own.data(1) == ["child"] else 2
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        channel.publish("parent")
        assert follower.data(2) == ["child", "parent"]

    def test_the_environment_says_where_channels_are(
        self, redis: RedisServer, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.channels.engine._engine", None)
        monkeypatch.setenv("STREAMKIT_CHANNELS", redis.url)
        Channel(name).publish(1)
        assert redis.ask("XLEN", key_of(name)) == 2

    def test_with_it_redis_py_is_imported_with_the_application(self) -> None:
        """And not by the first request, whose loop would stand still meanwhile."""

        def loaded(**environment: str) -> bytes:
            script = "import sys, streamkit; print({'redis', 'redis.asyncio'} & {*sys.modules})"
            command = [sys.executable, "-c", script]
            inherited = {**os.environ, "STREAMKIT_CHANNELS": ""}
            return subprocess.check_output(command, env=inherited | environment)

        assert b"redis.asyncio" in loaded(STREAMKIT_CHANNELS="redis://127.0.0.1:1/0")
        assert loaded() == b"set()\n"

    def test_threads_that_come_first_at_the_same_time_share_all(
        self, redis: RedisServer, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.channels.engine._engine", None)
        monkeypatch.setenv("STREAMKIT_CHANNELS", redis.url)
        made: list[Any] = []
        make = engine_module._engine_of

        def slowly(url: str | None) -> Any:
            time.sleep(0.05)
            made.append(make(url))
            return made[-1]

        monkeypatch.setattr(engine_module, "_engine_of", slowly)
        threads = [threading.Thread(target=engine_module.engine) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1


class TestAddresses:
    def test_databases_do_not_hear_of_each_other(
        self, redis: RedisServer, processes: Callable[[str], Redis], name: str
    ) -> None:
        process, other = processes(redis.url), processes(redis.url[:-1] + "1")
        followers = [Follower(each, name).placed() for each in (process, other)]
        publish(process, name, "zero")
        publish(other, name, "one")
        assert [follower.data(1) for follower in followers] == [["zero"], ["one"]]

    def test_a_unix_socket_with_a_password(
        self, processes: Callable[[str], Redis], name: str, tmp_path: Any
    ) -> None:
        path = f"/tmp/streamkit-{os.getpid()}.sock"
        with redis_server("--unixsocket", path) as server:
            server.ask("ACL", "SETUSER", "shop", "on", ">s3cret", "+@all", "~*", "&*")
            server.ask("CONFIG", "SET", "requirepass", "other")
            process = processes(f"unix://shop:s3cret@{path}?db=2")
            follower = Follower(process, name).placed()
            publish(process, name, 1)
            assert follower.data(1) == [1]
            asyncio.run(process.apublish(name, frame_of(2)))
            assert follower.data(1) == [2]
            with pytest.raises(ConnectionError) as error:
                publish(processes(f"unix://shop:wr0ng@{path}"), name, 1)
            assert "wr0ng" not in str(error.value)

    @pytest.mark.parametrize(
        "url", ["redis://host/shop", "redis://host:port", "redis://host:99999"]
    )
    def test_what_is_no_address_is_refused_at_the_call(self, url: str) -> None:
        with pytest.raises(ValueError, match="url must be one of a Redis"):
            channels.use(url)

    @pytest.mark.parametrize("url", ["valkey://127.0.0.1:{port}", "redis://127.0.0.1:{port}"])
    def test_valkey_is_one_as_well(
        self, redis: RedisServer, processes: Callable[[str], Redis], name: str, url: str
    ) -> None:
        publish(processes(url.format(port=redis.port)), name, 1)
        assert redis.ask("XLEN", key_of(name)) == 2
