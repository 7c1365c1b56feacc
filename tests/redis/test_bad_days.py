"""What may happen to a Redis, and what is then true of those who listen, and of those who publish.

Numbers go up by one, or a gap says by how many (``Follower`` sees to it); nothing hangs;
``publish`` raises within two seconds, or has done it.
"""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import pytest
from prometheus_client import CollectorRegistry
from redis_followers import Follower, parsed, publish, until
from redis_server import RedisServer, free_port, redis_server

from streamkit import Channel, channels
from streamkit.channels.frame import frame_of
from streamkit.channels.redis import reader as readers
from streamkit.channels.redis.engine import Redis
from streamkit.channels.redis.link import Link
from streamkit.channels.redis.log import channel_of, key_of
from streamkit.channels.redis.server import PATIENCE
from streamkit.testing import connect
from streamkit_adapters import asgi, wsgi

Processes = Callable[[str], Redis]

WITH_DATA = ("--appendonly", "yes", "--appendfsync", "always")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    # A machine that is busy with others is no fault.
    assert time.monotonic() - begin < seconds + 1


def refused(engine: Redis, name: str) -> ConnectionError:
    """On a thread and on a loop."""
    with within(2), pytest.raises(ConnectionError) as error:
        publish(engine, name, "never")
    with within(2), pytest.raises(ConnectionError):
        asyncio.run(engine.apublish(name, frame_of("never")))
    return error.value


def published_at_last(engine: Redis, name: str, value: Any) -> str:
    end = time.monotonic() + 30
    while True:
        try:
            return publish(engine, name, value)
        except ConnectionError:
            assert time.monotonic() < end


class TestKilled:
    def test_and_back_with_its_data(
        self, own_redis: RedisServer, processes: Processes, name: str
    ) -> None:
        own_redis.kill()
        own_redis.start(*WITH_DATA)
        process, other = processes(own_redis.url), processes(own_redis.url)
        follower = Follower(other, name).placed()
        publish(process, name, 1)
        assert follower.data(1) == [1]
        own_redis.kill()
        refused(process, name)
        until(lambda: not other._reader.is_up)  # type: ignore[union-attr]
        assert follower.is_silent()
        own_redis.start(*WITH_DATA)
        publish(process, name, 2)
        assert follower.data(1) == [2]
        assert not follower.gaps

    def test_and_back_with_nothing(
        self, own_redis: RedisServer, processes: Processes, name: str
    ) -> None:
        process, other = processes(own_redis.url), processes(own_redis.url)
        follower = Follower(other, name).placed()
        last = publish(process, name, 1)
        assert follower.data(1) == [1]
        own_redis.kill()
        own_redis.start()
        event_id = publish(process, name, 2)
        assert parsed(event_id).number == 1
        assert parsed(event_id).epoch > parsed(last).epoch
        assert follower.data(1) == [2]
        assert follower.gaps == [None]

    def test_who_comes_meanwhile_waits_to_be_told_where_it_begins(
        self, own_redis: RedisServer, processes: Processes, name: str
    ) -> None:
        process = processes(own_redis.url)
        (begin,) = process.positions([name])
        warm = Follower(process, name).placed()
        own_redis.kill()
        until(lambda: not process._reader.is_up)  # type: ignore[union-attr]
        new, returns = Follower(process, name), Follower(process, name, after=str(begin))
        cold = Follower(process, "cold")
        with pytest.raises(AssertionError, match="nothing came"):
            new.wait(new.listener.place, 0.3)
        own_redis.start()
        new.placed()
        cold.placed()
        publish(process, name, 1)
        assert new.data(1) == warm.data(1) == returns.data(1) == [1]
        # History began anew.
        assert (new.gaps, warm.gaps, returns.gaps) == ([], [None], [None])

    @pytest.mark.parametrize("adapter", [wsgi, asgi], ids=["wsgi", "asgi"])
    def test_a_stream_goes_on_meanwhile(
        self, own_redis: RedisServer, name: str, adapter: Any
    ) -> None:
        """One that begins then, too: with heartbeats, and without a position."""
        channels.use(own_redis.url)
        own_redis.kill()
        with connect(adapter.StreamingService.sse("s", Channel(name))) as client:
            client.heartbeat()
            own_redis.start()
            event = client.event(30)
            assert (event.type, event.data) == ("subscribed", "{}")
            assert parsed(event.last_event_id).number == 0
            own_redis.kill()
            client.heartbeat()
            own_redis.start()
            last = Channel(name).publish("back")
            assert client.event(30).type == "gap"
            event = client.event()
            assert (event.data, event.last_event_id) == ("back", last)

    def test_the_log_and_the_metrics_say_so(
        self,
        own_redis: RedisServer,
        processes: Processes,
        name: str,
        registry: CollectorRegistry,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        process = processes(own_redis.url)
        follower = Follower(process, name).placed()
        until(lambda: registry.get_sample_value("channel_reader_up") == 1)
        own_redis.kill()
        until(lambda: registry.get_sample_value("channel_reader_up") == 0)
        time.sleep(1)
        assert caplog.text.count("Redis is away") == 1
        own_redis.start()
        until(lambda: registry.get_sample_value("channel_reader_up") == 1)
        assert caplog.text.count("Redis is back, after") == 1
        follower.leave()


class TestConnections:
    def test_both_are_killed(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        follower = Follower(other, name).placed()
        for n in range(5):
            publish(process, name, n)
            redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
            redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert follower.data(5) == [*range(5)]
        assert not follower.gaps

    def test_a_pooled_one_that_was_closed_is_not_published_on(
        self, redis: RedisServer, process: Redis, name: str
    ) -> None:
        async def on_a_loop() -> None:
            await process.apublish(name, frame_of(1))
            redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.1)
            await process.apublish(name, frame_of(2))

        publish(process, name, 0)
        asyncio.run(on_a_loop())
        time.sleep(0.1)
        assert parsed(publish(process, name, 3)).number == 4

    @pytest.mark.parametrize("direction", ["both", "from the server"])
    def test_one_is_half_open(
        self,
        redis: RedisServer,
        process: Redis,
        processes: Processes,
        name: str,
        direction: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A firewall forgot of it: nothing comes, and nothing says so."""
        monkeypatch.setattr(readers, "SILENCE", 0.3)
        monkeypatch.setattr(readers, "PATIENCE", 0.5)
        with Firewall(redis.port) as firewall:
            other = processes(f"redis://127.0.0.1:{firewall.port}/0")
            follower = Follower(other, name).placed()
            publish(other, name, 0)
            assert follower.data(1) == [0]
            firewall.swallow(direction)
            publish(process, name, 1)
            # New connections get through.
            assert follower.data(1) == [1]
            assert not follower.gaps

    def test_a_server_that_does_not_answer_is_not_waited_for(
        self, own_redis: RedisServer, processes: Processes, name: str
    ) -> None:
        process = processes(own_redis.url)
        follower = Follower(process, name).placed()
        publish(process, name, 1)
        own_redis.signal(signal.SIGSTOP)
        with within(2), pytest.raises(ConnectionError):
            publish(process, name, 2)
        with within(2), pytest.raises(ConnectionError):
            asyncio.run(process.apublish(name, frame_of(3)))
        own_redis.signal(signal.SIGCONT)
        published_at_last(process, name, 4)
        # What was not answered may be done, and is not done twice.
        data = follower.data(2)
        while data[-1] != 4:
            data += follower.data(1)
        assert data in ([1, 4], [1, 2, 4], [1, 3, 4], [1, 2, 3, 4])


class SlowServer:
    """One on the running loop, that answers when it is told to."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self._serving: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer, serving in self._serving.items():
            writer.close()
            if serving is not None:
                await serving

    async def asked(self) -> asyncio.StreamWriter:
        """Where the next question is to be answered, once it has come."""
        return await asyncio.wait_for(self._asked.get(), 10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving[writer] = asyncio.current_task()
        while data := await reader.read(65536):
            # Of the handshake of a client, which waits for these.
            writer.write(b"+OK\r\n" * data.count(b"SETINFO"))
            if b"ECHO" in data:
                self._asked.put_nowait(writer)
        writer.close()


Asked = asyncio.Task[list[Any]]


async def asked_one_behind_the_other(
    server: SlowServer, link: Link
) -> tuple[Asked, asyncio.StreamWriter, Asked]:
    """Two questions, of which the first was sent, and where the server is to answer it."""
    first = asyncio.create_task(link.ask([(b"ECHO", b"first")]))
    answer = await server.asked()
    second = asyncio.create_task(link.ask([(b"ECHO", b"second")]))
    await asyncio.sleep(0)
    return first, answer, second


class TestBusy:
    def test_who_is_asked_after_others_waits_no_longer_in_all(
        self, processes: Processes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Than two seconds: for their answer, which comes late, and for its own, which does not."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with SlowServer() as server:
                link = processes(f"redis://127.0.0.1:{server.port}/0").link()
                first, answer, second = await asked_one_behind_the_other(server, link)
                passed, now = PATIENCE * 1.9, loop.time
                begin = now()
                monkeypatch.setattr(loop, "time", lambda: now() + passed)
                answer.write(b"$5\r\nfirst\r\n")
                assert await first == [b"first"]
                with pytest.raises(ConnectionError):
                    await second
                # A machine that is busy with others is no fault.
                assert loop.time() - begin < 2 + 1

        asyncio.run(main())

    def test_who_is_asked_together_with_others_waits_for_as_long_as_alone(
        self, processes: Processes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with SlowServer() as server:
                link = processes(f"redis://127.0.0.1:{server.port}/0").link()
                first, answer, second = await asked_one_behind_the_other(server, link)
                passed, now = PATIENCE, loop.time
                monkeypatch.setattr(loop, "time", lambda: now() + passed)
                third = asyncio.create_task(link.ask([(b"ECHO", b"third")]))
                await asyncio.sleep(0)
                answer.write(b"$5\r\nfirst\r\n")
                assert await first == [b"first"]
                answer = await server.asked()
                passed = PATIENCE * 2.5
                with pytest.raises(ConnectionError):
                    await second
                assert not third.done()
                answer.write(b"$6\r\nsecond\r\n$5\r\nthird\r\n")
                assert await third == [b"third"]
                # And the answer that came late was nobody else's.
                fourth = asyncio.create_task(link.ask([(b"ECHO", b"fourth")]))
                assert await server.asked() is answer
                answer.write(b"$6\r\nfourth\r\n")
                assert await fourth == [b"fourth"]

        asyncio.run(main())

    def test_what_was_not_sent_yet_is_asked_on_another_connection(
        self, processes: Processes
    ) -> None:
        async def main() -> None:
            async with SlowServer() as server:
                link = processes(f"redis://127.0.0.1:{server.port}/0").link()
                first, lost, second = await asked_one_behind_the_other(server, link)
                lost.close()
                with pytest.raises(ConnectionError):
                    await first
                answer = await server.asked()
                answer.write(b"$6\r\nsecond\r\n")
                assert await second == [b"second"]

        asyncio.run(main())

    def test_asleep(self, redis: RedisServer, process: Redis, other: Redis, name: str) -> None:
        follower = Follower(other, name).placed()
        publish(process, name, 1)
        sleeping = threading.Thread(target=redis.ask, args=("DEBUG", "SLEEP", "5"))
        sleeping.start()
        time.sleep(0.3)
        refused(process, "another")
        sleeping.join()
        published_at_last(process, name, 2)
        assert follower.data(2) == [1, 2]
        assert not follower.gaps

    def test_a_slow_script_of_somebody_else(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        redis.ask("CONFIG", "SET", "busy-reply-threshold", "500")
        follower = Follower(other, name).placed()

        def run() -> None:
            with suppress(Exception):
                redis.ask("EVAL", "while true do end", "0")

        running = threading.Thread(target=run)
        running.start()
        time.sleep(1)
        assert "BUSY" in str(refused(process, name))
        redis.ask("SCRIPT", "KILL")
        running.join()
        published_at_last(process, name, 2)
        assert follower.data(1) == [2]

    def test_out_of_memory(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        follower = Follower(other, name).placed()
        publish(process, name, 1)
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        try:
            assert "maxmemory" in str(refused(process, name))
        finally:
            redis.ask("CONFIG", "SET", "maxmemory", "0")
        publish(process, name, 2)
        assert follower.data(2) == [1, 2]
        assert not follower.gaps

    def test_read_only(self, own_redis: RedisServer, processes: Processes, name: str) -> None:
        process = processes(own_redis.url)
        follower = Follower(process, name).placed()
        publish(process, name, 1)
        own_redis.ask("REPLICAOF", "127.0.0.1", str(free_port()))
        refused(process, name)
        own_redis.ask("REPLICAOF", "NO", "ONE")
        publish(process, name, 2)
        assert follower.data(2) == [1, 2]


def fail_over(redis: RedisServer, publisher: Redis, follower: Follower, name: str) -> None:
    """``publisher`` publishes eight events, ``follower`` reads them, and the server loses three."""
    for n in range(5):
        publish(publisher, name, n)
    kept = redis.ask("DUMP", key_of(name))
    for n in range(5, 8):
        publish(publisher, name, n)
    assert follower.data(8) == [*range(8)]
    redis.ask("RESTORE", key_of(name), 0, kept, "REPLACE")


class TestLost:
    def test_all_data(self, redis: RedisServer, process: Redis, other: Redis, name: str) -> None:
        follower = Follower(other, name).placed()
        last = publish(process, name, 1)
        assert follower.data(1) == [1]
        redis.ask("FLUSHALL")
        publish(process, name, 2)
        assert follower.data(1) == [2]
        assert follower.gaps == [None]
        returns = Follower(process, name, after=last)
        assert returns.data(1) == [2]
        assert returns.gaps == [None]

    @pytest.mark.parametrize("publisher", ["knows", "listens", "knows nothing"])
    def test_the_newest_entries_in_a_failover(
        self,
        redis: RedisServer,
        processes: Processes,
        other: Redis,
        name: str,
        publisher: str,
    ) -> None:
        """No number is given to two events, whoever has seen the first."""
        process = processes(redis.url)
        follower = Follower(other, name).placed()
        fail_over(redis, process, follower, name)
        if publisher == "knows nothing":
            process = processes(redis.url)
        elif publisher == "listens":
            process = other
        event_id = publish(process, name, "new")
        # Who knows nothing goes on in the old history, until a reader has seen that.
        until(lambda: follower.listener.is_at_head() is False)
        assert follower.event().data == {"missed": None}
        newest = published_at_last(process, name, "newest")
        assert parsed(newest).epoch > parsed(event_id).epoch or publisher != "knows nothing"
        data = follower.data(1)
        while data[-1] != "newest":
            data += follower.data(1)
        assert data == (["newest"] if publisher == "knows nothing" else ["new", "newest"])

    def test_as_many_new_entries_as_were_lost_in_a_failover(
        self, redis: RedisServer, processes: Processes, other: Redis, name: str
    ) -> None:
        """Published at once by one who knows nothing: the numbers alone do not tell."""
        process = processes(redis.url)
        follower = Follower(other, name).placed()
        fail_over(redis, process, follower, name)
        stranger = processes(redis.url)

        async def publish_at_once() -> list[str]:
            new = [stranger.apublish(name, frame_of(n)) for n in range(8, 13)]
            return await asyncio.gather(*new)

        *_, last = asyncio.run(publish_at_once())
        assert parsed(last).number == 10
        while not follower.gaps:
            follower.event()
        assert follower.gaps == [None]
        newest = publish(stranger, name, "newest")
        assert parsed(newest) > parsed(last)
        assert follower.data(1) == ["newest"]

    def test_a_replica_that_lacks_the_newest_takes_over(
        self, own_redis: RedisServer, processes: Processes, name: str
    ) -> None:
        """Under the same address. Those who published and those who listened know more than it."""
        publisher, other = processes(own_redis.url), processes(own_redis.url)
        followers = [Follower(each, name).placed() for each in (publisher, other)]
        with redis_server() as replica:
            replica.ask("REPLICAOF", "127.0.0.1", f"{own_redis.port}")
            published = [publish(publisher, name, n) for n in range(5)]
            until(lambda: replica.ask("EXISTS", key_of(name)))
            until(lambda: replica.ask("XLEN", key_of(name)) == 6)
            # It is one still, but of nobody.
            replica.ask("REPLICAOF", "127.0.0.1", f"{free_port()}")
            published += [publish(publisher, name, n) for n in range(5, 8)]
            for follower in followers:
                assert follower.data(8) == [*range(8)]
            own_redis.kill()
            refused(publisher, name)
            replica.ask("CONFIG", "SET", "port", f"{own_redis.port}")
            replica.port = own_redis.port
            # It takes no events yet.
            refused(publisher, name)
            replica.ask("REPLICAOF", "NO", "ONE")
            published.append(published_at_last(publisher, name, "new"))
            for follower in followers:
                assert follower.event().data == {"missed": None}
                assert follower.data(1)[-1] == "new"
            # A process that has seen nothing goes on behind it as well.
            published.append(publish(processes(own_redis.url), name, "newest"))
            for follower in followers:
                assert follower.data(1) == ["newest"]
            returns = Follower(other, name, after=published[7])
            returns.position = None
            assert returns.data(2)[-2:] == ["new", "newest"]
            assert returns.gaps == [None]
        positions = [parsed(event_id) for event_id in published]
        assert positions == sorted({*positions})

    def test_a_clock_that_was_ahead(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        """The new server's is behind: an epoch is higher than the last one all the same."""
        ahead = int(time.time() * 1000) + 86_400_000
        redis.ask("XADD", key_of(name), f"{ahead}-0", "f", "")
        follower = Follower(other, name).placed()
        assert publish(process, name, 1) == f"{ahead}-1"
        assert follower.data(1) == [1]
        redis.ask("DEL", key_of(name))
        assert publish(process, name, 2) == f"{ahead + 1}-1"
        assert follower.data(1) == [2]
        assert follower.gaps == [None]


STRANGE: dict[str, bytes] = {
    "empty": b"",
    "no kind": b"data: 1\n",
    "another kind": b"xdata: 1\n",
    "no JSON": b"jdata: {\n",
    "no data": b"tevent: a\n",
    "no line end": b"tdata: 1",
    "a blank line": b"tdata: 1\n\ndata: 2\n",
    "an id": b"tid: 7\ndata: 1\n",
    "a carriage return": b"tdata: 1\rid: 7\n",
    "no UTF-8": b"tdata: \xff\n",
    "a NUL in the name": b"tevent: a\0\ndata: 1\n",
    "a bad retry": b"tretry: -1\ndata: 1\n",
    "too large": b"tdata: " + b"x" * 300_000 + b"\n",
}


class TestStrangers:
    @pytest.mark.parametrize("strange", STRANGE.values(), ids=[*STRANGE])
    @pytest.mark.parametrize("way", ["log", "message"])
    def test_what_cannot_be_read_is_skipped_and_told_of(
        self,
        redis: RedisServer,
        process: Redis,
        other: Redis,
        name: str,
        strange: bytes,
        way: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        follower = Follower(other, name).placed()
        publish(process, name, 1)
        assert follower.data(1) == [1]
        event_id = redis.ask(
            "XADD", key_of(name), f"{parsed(publish(process, name, 2)).epoch}-*", "f", strange
        )
        if way == "message":
            redis.ask("PUBLISH", channel_of(name, 0), event_id + b" " + strange)
        publish(process, name, 4)
        assert follower.data(2) == [2, 4]
        assert follower.gaps == [1]
        cold = Follower(process, name, after=f"{parsed(event_id.decode()).epoch}-0")
        assert cold.data(3) == [1, 2, 4]
        assert cold.gaps == [1]
        assert caplog.text.count("none of streamkit's") >= 1

    @pytest.mark.parametrize("message", [b"", b"x", b"1-1", b"9" * 30 + b"-1 tdata: 1\n", b"\xff"])
    def test_a_message_that_is_none(
        self, redis: RedisServer, process: Redis, other: Redis, name: str, message: bytes
    ) -> None:
        follower = Follower(other, name).placed()
        for _ in range(3):
            redis.ask("PUBLISH", channel_of(name, 0), message)
        publish(process, name, 1)
        assert follower.data(1) == [1]
        assert not follower.gaps

    def test_an_entry_of_forty_megabytes(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        follower = Follower(other, name).placed()
        epoch = parsed(publish(process, name, 1)).epoch
        redis.ask("XADD", key_of(name), f"{epoch}-*", "f", b"x" * 40_000_000)
        # More than a server sends to one who subscribes: it is disconnected.
        redis.ask("PUBLISH", channel_of(name, 0), b"x" * 40_000_000)
        published_at_last(process, name, 3)
        assert follower.data(2) == [1, 3]
        assert follower.gaps == [1]

    @pytest.mark.parametrize("event_id", ["18446744073709551614-7", "5-18446744073709551614", "*"])
    def test_an_id_that_is_none(
        self, redis: RedisServer, process: Redis, other: Redis, name: str, event_id: str
    ) -> None:
        redis.ask("XADD", key_of(name), event_id, "other", "value")
        follower = Follower(other, name).placed()
        publish(process, name, 1)
        assert follower.data(1) == [1]

    def test_a_key_that_is_no_stream(
        self, redis: RedisServer, process: Redis, other: Redis, name: str
    ) -> None:
        """It costs the other channels nothing, and is read when it is one."""
        redis.ask("SET", key_of("taken"), "value")
        taken, follower = Follower(other, "taken"), Follower(other, name).placed()
        with pytest.raises(ConnectionError, match="WRONGTYPE"):
            publish(process, "taken", 1)
        publish(process, name, 1)
        assert follower.data(1) == [1]
        redis.ask("DEL", key_of("taken"))
        publish(process, "taken", 2)
        publish(other, "taken", 3)
        assert taken.data(1) == [3]


class Firewall:
    """Between a client and a server, until it forgets of their connections."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listening]
        # One set for all connections of a time.
        self._swallowed: set[str] = set()

    def __enter__(self) -> "Firewall":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def swallow(self, direction: str) -> None:
        """All that is sent on what is connected now."""
        swallowed, self._swallowed = self._swallowed, set()
        swallowed |= {"from the server"} | ({"to the server"} if direction == "both" else set())

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += client, server
                for args in (
                    (client, server, "to the server", self._swallowed),
                    (server, client, "from the server", self._swallowed),
                ):
                    threading.Thread(target=self._copy, args=args, daemon=True).start()

    def _copy(
        self, source: socket.socket, sink: socket.socket, name: str, swallowed: set[str]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if name not in swallowed:
                    sink.sendall(data)
            if not swallowed:
                sink.shutdown(socket.SHUT_WR)
