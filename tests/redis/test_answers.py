"""What is promised of answers in a Redis, and what may happen to them there."""

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from answers.suite import Silent, Suite, data_of
from combinations import COMBINATIONS, AsyncSource, SyncSource
from redis.crc import key_slot
from redis_followers import until
from redis_server import RedisServer, redis_server

from streamkit import Resumable, SourceFailed, StreamingService, channels
from streamkit.channels.redis.engine import Redis
from streamkit.channels.redis.server import exchange
from streamkit.resumable.keepers import keeper
from streamkit.resumable.redis import reader, script, writer
from streamkit.resumable.redis.keeper import RedisKeeper
from streamkit.resumable.redis.script import append, blocks_from, keys_of, packed

pytestmark = pytest.mark.usefixtures("patient")

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()


# What differs between the others is the same wherever answers are kept.
@pytest.mark.parametrize("combination", COMBINATIONS[::3], indirect=True)
class TestInRedis(Suite):
    @pytest.fixture(autouse=True)
    def _in_redis(self, redis: RedisServer) -> Iterator[None]:
        channels.use(redis.url)
        yield
        # None of what was kept is kept for ever.
        keys = redis.ask("KEYS", "streamkit:*")
        assert all(0 < redis.ask("PTTL", key) <= 3_600_000 for key in keys)
        channels.use(None)


answers = Resumable("answers")
NAME = ("answers", "key")


class Process:
    """What a process has of its own. Each stream of it is read on the test's thread."""

    def __init__(self, url: str, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.keeper = RedisKeeper(Redis(url))

    def start(self, source: Any, key: str = "key") -> Iterator[bytes]:
        return self._open(answers.start(key, source))

    def follow(self, key: str = "key") -> Iterator[bytes]:
        return self._open(answers.follow(key))

    def stop(self, key: str = "key") -> bool:
        return self.keeper.stop(("answers", key))

    def _open(self, answer: Any) -> Iterator[bytes]:
        response = StreamingService.sse("answer", answer)
        with self._patch.context() as patch:
            patch.setattr("streamkit.resumable.answer.keeper", lambda: self.keeper)
            return iter(response)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Process]]:
    made: list[Process] = []

    def process(url: str) -> Process:
        made.append(Process(url, monkeypatch))
        return made[-1]

    yield process
    for each in made:
        each.keeper.close()
    until(lambda: not any(each.keeper.running or each.keeper.followed for each in made))
    until(lambda: all(_has_ended(each.keeper) for each in made))
    assert not any(each.keeper._logs for each in made)


def _has_ended(keeper: RedisKeeper) -> bool:
    return keeper._reader is None or keeper._reader.has_ended


@pytest.fixture
def one(redis: RedisServer, processes: Callable[[str], Process]) -> Process:
    return processes(redis.url)


@pytest.fixture
def two(redis: RedisServer, processes: Callable[[str], Process]) -> Process:
    return processes(redis.url)


def events(chunks: Iterator[bytes], count: int) -> bytes:
    """The next so many, and what comes with the last."""
    body = b""
    while body.count(b"\n\n") < count:
        # A head may come before the first of them.
        body += next(chunks).replace(b": heartbeat\n\n", b"")
    return body


def rest(chunks: Iterator[bytes]) -> bytes:
    return b"".join(chunks).replace(b": heartbeat\n\n", b"")


class Gated(AsyncSource):
    """Waits after its first elements until it ``goes_on``, and for ever without."""

    def __init__(self, before: list[Any], after: list[Any] | None = None) -> None:
        self.goes_on = threading.Event()

        async def wait() -> Any:
            while not self.goes_on.is_set():  # noqa: ASYNC110 (it is set on any thread)
                await asyncio.sleep(0.01)
            return "gate"

        super().__init__([*before, wait, *(after or [])])


class TestProcesses:
    def test_another_process_reads_it_as_it_comes(self, one: Process, two: Process) -> None:
        source = Gated(["a", "b"], ["c"])
        first = one.start(source)
        assert data_of(events(first, 2)) == [b"a", b"b"]
        second = two.follow()
        assert data_of(events(second, 2)) == [b"a", b"b"]
        source.goes_on.set()
        assert data_of(rest(second)) == data_of(rest(first)) == [b"gate", b"c"]
        assert data_of(rest(one.follow())) == [b"a", b"b", b"gate", b"c"]

    def test_a_source_that_waits_is_stopped_from_another_process(
        self, one: Process, two: Process
    ) -> None:
        source = Gated(["a"])
        first, second = one.start(source), two.follow()
        events(first, 1)
        assert two.stop() is True
        assert rest(first) == b""
        assert data_of(rest(second)) == [b"a"]
        assert source.closed.wait(5)
        assert source.closes == 1
        assert one.stop() is False

    def test_of_two_that_start_at_the_same_time_one_makes_it(
        self, one: Process, two: Process
    ) -> None:
        for n in range(20):
            barrier = threading.Barrier(2)
            sources = [SyncSource([f"{which}"] * 5) for which in range(2)]
            bodies: list[bytes] = [b"", b""]

            opened = [
                process.start(source, f"key-{n}")
                for process, source in zip((one, two), sources, strict=True)
            ]

            def read(which: int, chunks: Any, barrier: Any = barrier, bodies: Any = bodies) -> None:
                barrier.wait()
                bodies[which] = rest(chunks)

            streams = [
                threading.Thread(target=read, args=(which, chunks))
                for which, chunks in enumerate(opened)
            ]
            for stream in streams:
                stream.start()
            for stream in streams:
                stream.join()
            assert data_of(bodies[0]) == data_of(bodies[1])
            assert sorted(source.given for source in sources) == [0, 5]
            for source in sources:
                assert source.closed.wait(5)
                assert source.closes == 1

    def test_what_is_large_is_read_and_not_told(self, one: Process, two: Process) -> None:
        large = ["x" * 200_000, "y" * 300_000, "z"]
        source = Gated(["a"], large)
        first, second = one.start(source), two.follow()
        events(first, 1)
        events(second, 1)
        source.goes_on.set()
        expected = [b"gate", *(each.encode() for each in large)]
        assert data_of(rest(second)) == expected
        assert data_of(rest(first)) == expected

    def test_a_lost_message_is_made_up_for(
        self, one: Process, two: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = Gated(["a"], ["b"])
        first, second = one.start(source), two.follow()
        events(first, 1)
        events(second, 1)
        lost = threading.Event()
        take = reader.AnswerReader._take_message

        def lose(self: Any, topic: Any, content: bytes) -> None:
            if lost.is_set():
                take(self, topic, content)
            lost.set()

        monkeypatch.setattr(reader.AnswerReader, "_take_message", lose)
        source.goes_on.set()
        assert data_of(rest(second)) == [b"gate", b"b"]
        rest(first)

    def test_what_is_ready_is_one_round_trip(self, redis: RedisServer, one: Process) -> None:
        source = SyncSource([str(n) for n in range(5000)])
        before = redis.calls("xadd")
        assert data_of(rest(one.start(source))) == [b"%d" % n for n in range(5000)]
        assert redis.calls("xadd") - before < 1000

    def test_an_entry_is_written_once_however_often_it_is_asked_for(
        self, redis: RedisServer, one: Process
    ) -> None:
        source = Gated(["a"])
        chunks = one.start(source)
        events(chunks, 1)
        (log,) = one.keeper.running
        token = one.keeper.running[log].token
        asked = append(NAME, token, 0, log.epoch, 2, b"ddata: b\n")
        assert one.keeper._server.ask([asked, asked, asked]) == [1, 1, 1]
        assert redis.ask("XLEN", keys_of(NAME)[0]) == 3
        one.stop()
        rest(chunks)

    def test_no_entry_is_written_before_the_one_that_it_follows(
        self, redis: RedisServer, one: Process
    ) -> None:
        source = Gated(["a"], ["b"])
        chunks = one.start(source)
        events(chunks, 1)
        (log,) = one.keeper.running
        token = one.keeper.running[log].token
        # As when the one before it met a server that was busy, or did not know the script yet.
        early = append(NAME, token, 0, log.epoch, 3, b"edone")
        with pytest.raises(ConnectionError, match="entry before"):
            one.keeper._server.ask([early])
        source.goes_on.set()
        assert data_of(rest(chunks)) == [b"gate", b"b"]

    def test_both_keys_are_in_one_slot(self) -> None:
        for name in (NAME, ("a{b", "}c"), ("}", "{}"), ("é", "ü{")):
            assert len({key_slot(key) for key in keys_of(name)}) == 1

    def test_a_strangers_key_costs_that_answer_alone(
        self, redis: RedisServer, one: Process
    ) -> None:
        redis.ask("SET", keys_of(NAME)[0], "none of ours")
        assert rest(one.follow()) == b""
        with pytest.raises(ConnectionError, match="WRONGTYPE"):
            one.stop()
        assert data_of(rest(one.start(SyncSource(["a"]), "other"))) == [b"a"]

    def test_a_strangers_key_in_place_of_one_that_is_made_interrupts_that_alone(
        self, redis: RedisServer, one: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reader.AnswerReader, "chores_interval", 0.02)
        monkeypatch.setattr(reader, "RENEWAL", 0.05)
        sources = Gated(["a"]), Gated(["b"], ["c"])
        chunks, other = one.start(sources[0]), one.start(sources[1], "other")
        events(chunks, 1)
        events(other, 1)
        redis.ask("SET", keys_of(NAME)[0], "none of ours")
        assert data_of(rest(chunks)) == [INTERRUPTED]
        assert sources[0].closed.wait(5)
        assert one.keeper._reader is not None
        assert one.keeper._reader.is_up
        sources[1].goes_on.set()
        assert data_of(rest(other)) == [b"gate", b"c"]


def test_a_user_with_no_more_rights_than_the_page_says(
    redis: RedisServer, processes: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader.AnswerReader, "chores_interval", 0.02)
    monkeypatch.setattr(reader, "RENEWAL", 0.05)
    redis.ask("ACL", "SETUSER", "shop", "reset")
    for rights in re.findall("ACL SETUSER shop (.*)", PAGE):
        redis.ask("ACL", "SETUSER", "shop", *rights.split())
    one, two = (processes(redis.url.replace("//", "//shop:s3cret@")) for _ in range(2))
    first, second = one.start(Gated(["a"])), two.follow()
    events(first, 1)
    events(second, 1)
    redis.ask("PEXPIRE", keys_of(NAME)[1], 1000)
    until(lambda: redis.ask("PTTL", keys_of(NAME)[1]) > 10_000)
    assert two.stop() is True
    assert rest(first) == rest(second) == b""
    assert data_of(rest(two.follow())) == [b"a"]


INTERRUPTED = b'{"error":"interrupted"}'


class TestTheSameMoment:
    def test_who_starts_it_is_not_told_that_it_was_nowhere(
        self, one: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect, miss = reader.AnswerReader._connect, reader.AnswerReader._miss
        starts, missed = threading.Event(), threading.Event()

        def connect_late(self: Any) -> None:
            starts.wait(10)
            connect(self)

        def tell(self: Any, *args: Any) -> None:
            miss(self, *args)
            missed.set()

        ask = one.keeper._server.ask

        def ask_late(commands: Any) -> Any:
            starts.set()
            # Whoever looked for it knows by now that it is nowhere.
            missed.wait(10)
            return ask(commands)

        monkeypatch.setattr(reader.AnswerReader, "_connect", connect_late)
        monkeypatch.setattr(reader.AnswerReader, "_miss", tell)
        monkeypatch.setattr(one.keeper._server, "ask", ask_late)
        chunks = one.follow()
        follower = threading.Thread(target=rest, args=(chunks,))
        follower.start()
        until(lambda: bool(one.keeper.followed))
        # As the source that is made waits, all that could end its stream is that it was nowhere.
        source = Gated([], ["a"])
        goes_on = threading.Timer(0.3, source.goes_on.set)
        goes_on.start()
        assert data_of(rest(one.start(source))) == [b"gate", b"a"]
        follower.join()
        goes_on.join()

    def test_who_leaves_before_it_is_known_who_makes_it_leaves_nothing(
        self, redis: RedisServer, two: Process
    ) -> None:
        running = Gated(["a"])
        other = two.start(running)
        events(other, 1)
        channels.use(redis.url)
        source = AsyncSource(["b"])

        async def leave() -> Any:
            kept: Any = keeper()
            claim = kept._engine.link().ask
            asked, goes_on = asyncio.Event(), asyncio.Event()

            async def claim_late(commands: Any) -> Any:
                replies = await claim(commands)
                asked.set()
                await goes_on.wait()
                return replies

            kept._engine.link().ask = claim_late
            stream: Any = aiter(StreamingService.sse("a", answers.start("key", source)))
            first = asyncio.ensure_future(anext(stream))
            await asked.wait()
            first.cancel()
            await asyncio.wait([first])
            await stream.aclose()
            goes_on.set()
            async with asyncio.timeout(10):
                while not source.closed.is_set():  # noqa: ASYNC110 (it is set on any thread)
                    await asyncio.sleep(0.01)
            return kept

        kept = asyncio.run(leave())
        assert (source.given, source.closes) == (0, 1)
        until(lambda: not kept.followed)
        assert not kept._logs
        channels.use(None)
        two.stop()
        rest(other)


class TestLeases:
    def test_who_has_lost_his_lease_writes_nothing(
        self, redis: RedisServer, one: Process, two: Process
    ) -> None:
        source = Gated(["a"], ["b"])
        first, second = one.start(source), two.follow()
        events(first, 1)
        redis.ask("DEL", keys_of(NAME)[1])
        source.goes_on.set()
        assert data_of(rest(first)) == [INTERRUPTED]
        assert data_of(rest(second)) == [b"a", INTERRUPTED]
        assert source.closed.wait(5)
        assert data_of(rest(two.follow())) == [b"a", INTERRUPTED]

    def test_leases_are_renewed(
        self, redis: RedisServer, one: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reader.AnswerReader, "chores_interval", 0.02)
        monkeypatch.setattr(reader, "RENEWAL", 0.05)
        source = Gated(["a"], ["b"])
        chunks = one.start(source)
        events(chunks, 1)
        lease = keys_of(NAME)[1]
        redis.ask("PEXPIRE", lease, 1000)
        until(lambda: redis.ask("PTTL", lease) > 10_000)
        source.goes_on.set()
        assert data_of(rest(chunks)) == [b"gate", b"b"]

    def test_a_loop_that_is_closed_in_the_midst_of_it_fails_it(
        self, redis: RedisServer, one: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reader.AnswerReader, "chores_interval", 0.02)
        monkeypatch.setattr(reader, "RENEWAL", 0.05)
        channels.use(redis.url)

        async def begin() -> None:
            stream: Any = aiter(StreamingService.sse("a", answers.start("key", Silent("a"))))
            assert data_of(await anext(stream)) == [b"a"]
            await stream.aclose()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        chunks = one.follow()
        events(chunks, 1)
        loop.close()
        with pytest.raises(SourceFailed):
            rest(chunks)
        channels.use(None)

    def test_leases_are_renewed_while_there_is_much_to_be_read(
        self, redis: RedisServer, one: Process, two: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Each is an entry, as it is large.
        rest(two.start(SyncSource(["x" * 200_000] * 4), "long"))
        lease = keys_of(NAME)[1]
        chunks = one.start(Gated(["a"]))
        events(chunks, 1)
        until(lambda: bool(one.keeper._reader and one.keeper._reader.is_up))
        left: list[int] = []

        def read_for_long(connection: Any, commands: Any) -> Any:
            if commands[0][0] == b"XRANGE":
                left.append(redis.ask("PTTL", lease))
                redis.ask("PEXPIRE", lease, 1000)
            return exchange(connection, commands)

        monkeypatch.setattr(reader, "ENTRIES", 1)
        monkeypatch.setattr(reader, "RENEWAL", 0)
        monkeypatch.setattr(reader.AnswerReader, "chores_interval", 3600)
        assert one.keeper._reader is not None
        one.keeper._reader._chores_at = one.keeper._reader._renewed_at = 0
        monkeypatch.setattr(reader, "exchange", read_for_long)
        assert len(data_of(rest(one.follow("long")))) == 4
        # The end is an entry as well.
        assert len(left) == 5
        assert min(left) > 1000
        one.stop()
        rest(chunks)

    def test_what_was_flushed_is_interrupted(
        self, redis: RedisServer, one: Process, two: Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(script, "_LEASE", b"1000")
        monkeypatch.setattr(reader.AnswerReader, "chores_interval", 0.05)
        source = Gated(["a"], ["b"])
        first, second = one.start(source), two.follow()
        events(first, 1)
        events(second, 1)
        redis.ask("FLUSHALL")
        source.goes_on.set()
        assert data_of(rest(first)) == data_of(rest(second)) == [INTERRUPTED]
        assert source.closed.wait(5)
        assert rest(two.follow()) == b""


class TestAway:
    def test_the_source_is_held_back_and_goes_on_when_redis_is_back(
        self, processes: Callable[[str], Process]
    ) -> None:
        with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
            one, two = processes(server.url), processes(server.url)
            source = SyncSource(str(n) for n in itertools.count())
            first, second = one.start(source), two.follow()
            body, other = events(first, 500), events(second, 500)
            server.kill()
            written = int(data_of(body)[-1])
            # Nobody takes what it yields now, so that it waits once a buffer is full.
            time.sleep(0.5)
            given = source.given
            time.sleep(0.2)
            assert source.given == given
            server.start()
            until(lambda: source.given > given)
            until(lambda: _stop(two))
            assert written < source.given
            body, other = body + rest(first), other + rest(second)
            numbers = [int(number) for number in data_of(body)]
            assert numbers == [*range(len(numbers))]
            assert data_of(other) == data_of(body)
            assert source.closed.wait(5)

    @pytest.mark.parametrize("kind", [SyncSource, AsyncSource])
    def test_when_redis_stays_away_the_source_is_failed_and_closed(
        self,
        own_redis: RedisServer,
        processes: Callable[[str], Process],
        monkeypatch: pytest.MonkeyPatch,
        kind: Any,
    ) -> None:
        monkeypatch.setattr(writer, "LEASE", 0.3)
        one = processes(own_redis.url)
        source = kind(str(n) for n in itertools.count())
        chunks = one.start(source)
        body = events(chunks, 10)
        own_redis.kill()
        with pytest.raises(SourceFailed):
            for chunk in chunks:
                body += chunk
        assert data_of(body)[-1] == b'{"error":"failed"}'
        assert source.closed.wait(5)
        assert source.closes == 1

    @pytest.mark.parametrize("name", ["streamkit-answers", "streamkit-writer", "streamkit-pump"])
    @pytest.mark.parametrize("on_loop", [False, True])
    def test_without_a_thread_the_source_is_closed_once_and_it_has_failed(
        self, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, name: str, on_loop: bool
    ) -> None:
        channels.use(redis.url)
        start = threading.Thread.start

        def start_no_such(thread: threading.Thread) -> None:
            if thread.name == name:
                raise RuntimeError("can't start new thread")
            start(thread)

        source = SyncSource(["a"])

        async def read_on_loop() -> None:
            async for _ in StreamingService.sse("a", answers.start("key", source)):
                pass

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start_no_such)
            with pytest.raises((RuntimeError, SourceFailed)):
                if on_loop:
                    asyncio.run(read_on_loop())
                else:
                    rest(iter(StreamingService.sse("a", answers.start("key", source))))
        assert source.closed.wait(5)
        assert (source.given, source.closes) == (0, 1)
        # It is told at once wherever it is followed, and not when its lease has run out.
        with pytest.raises(SourceFailed):
            rest(iter(StreamingService.sse("a", answers.follow("key"))))
        channels.use(None)

    def test_what_cannot_be_begun_is_told_at_once(
        self, own_redis: RedisServer, processes: Callable[[str], Process]
    ) -> None:
        one = processes(own_redis.url)
        own_redis.kill()
        source = SyncSource(["a"])
        with pytest.raises(ConnectionError):
            next(one.start(source))
        assert source.closed.wait(5)
        assert (source.given, source.closes) == (0, 1)

        async def on_loop(source: Any) -> None:
            async for _ in StreamingService.sse("a", answers.start("key", source)):
                pass

        channels.use(own_redis.url)
        source = SyncSource(["a"])
        with pytest.raises(ConnectionError):
            asyncio.run(on_loop(source))
        assert source.closed.wait(5)
        with pytest.raises(ConnectionError):
            answers.stop("key")


def _stop(process: Process) -> bool:
    try:
        return process.stop()
    except ConnectionError:
        return False


PROGRAM = """
import itertools, os, sys, threading, time
from streamkit import Resumable, StreamingService, channels
from streamkit.resumable.redis import reader, script

answers = Resumable("answers")

def numbers():
    for number in itertools.count():
        yield str(number)
        time.sleep(0.01)

channels.use(sys.argv[1])
"""


def run(url: str, program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + dedent(program), url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


class TestProcessesThatEnd:
    def test_one_that_is_killed_is_interrupted(self, redis: RedisServer, one: Process) -> None:
        program = """
        script._LEASE, reader.RENEWAL = b"1500", 0.3
        for chunk in StreamingService.sse("a", answers.start("key", numbers())):
            print("began", flush=True)
        """
        with run(redis.url, program) as process:
            assert process.stdout is not None
            process.stdout.readline()
            chunks = one.follow()
            body = events(chunks, 5)
            process.kill()
        body += rest(chunks)
        *numbers, end = data_of(body)
        assert [*map(int, numbers)] == [*range(len(numbers))]
        assert end == INTERRUPTED
        # It stands in the log: who comes later is told the same, and it is not made again.
        assert rest(one.follow()) == body
        source = SyncSource(["other"])
        assert rest(one.start(source)) == body
        assert source.given == 0

    def test_one_that_is_killed_when_it_was_told_to_end_is_interrupted_earlier(
        self, redis: RedisServer, one: Process
    ) -> None:
        program = """
        import signal
        signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
        script._LEASE, script._LAST_LEASE = b"3600000", b"1500"
        reader.LAST_RENEWAL = 0.3
        for chunk in StreamingService.sse("a", answers.start("key", numbers())):
            print("began", flush=True)
        """
        with run(redis.url, program) as process:
            assert process.stdout is not None
            process.stdout.readline()
            chunks = one.follow()
            events(chunks, 5)
            process.terminate()
            while process.stdout.readline() != "told\n":
                pass
            until(lambda: redis.ask("PTTL", keys_of(NAME)[1]) <= 1500)
            process.kill()
        assert data_of(rest(chunks))[-1] == INTERRUPTED

    @pytest.mark.parametrize("consumer", ["for chunk in", "async for chunk in"])
    def test_one_that_ends_by_a_signal_has_failed_and_closed_its_source(
        self, redis: RedisServer, one: Process, consumer: str
    ) -> None:
        program = f"""
        import asyncio
        from contextlib import suppress
        from streamkit import SourceFailed

        def closing():
            try:
                yield from numbers()
            finally:
                print("closed", flush=True)

        async def main():
            with suppress(SourceFailed):
                {consumer} StreamingService.sse("a", answers.start("key", closing())):
                    print("began", flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
        """
        with run(redis.url, program) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.terminate()
            assert process.wait(90) == -signal.SIGTERM
            assert process.stdout.read().endswith("closed\n")
        with pytest.raises(SourceFailed):
            rest(one.follow())

    def test_one_that_ends_in_good_order_has_failed(self, redis: RedisServer, one: Process) -> None:
        program = """
        chunks = iter(StreamingService.sse("a", answers.start("key", numbers())))
        next(chunks), next(chunks)
        """
        with run(redis.url, program) as process:
            assert process.wait(90) == 0
        with pytest.raises(SourceFailed):
            rest(one.follow())

    def test_a_child_of_a_fork_that_ends_ends_none_of_its_parents(self, redis: RedisServer) -> None:
        program = """
        chunks = iter(StreamingService.sse("a", answers.start("key", numbers())))
        next(chunks)
        channels.use(None)
        child = os.fork()
        if not child:
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        body = b""
        while body.count(b"data") < 30:
            body += next(chunks)
        channels.use(sys.argv[1])
        sys.exit(7 if answers.stop("key") else 1)
        """
        with run(redis.url, program) as process:
            assert process.wait(90) == 7

    def test_a_child_of_a_fork_has_what_is_its_own(self, redis: RedisServer) -> None:
        program = """
        chunks = iter(StreamingService.sse("a", answers.start("key", numbers())))
        next(chunks)
        child = os.fork()
        if not child:
            followed = iter(StreamingService.sse("a", answers.follow("key")))
            body = b""
            while body.count(b"data") < 20:
                body += next(followed)
            assert answers.stop("key")
            assert b"data: 19" in body + b"".join(followed)
            b"".join(StreamingService.sse("a", answers.start("other", iter(["one"]))))
            os._exit(7)
        rest = b"".join(chunks)
        assert b"data: 19" in rest
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert b"data: one" in b"".join(StreamingService.sse("a", answers.follow("other")))
        sys.exit(code)
        """
        with run(redis.url, program) as process:
            assert process.wait(90) == 7


@pytest.mark.parametrize(
    "field",
    [
        *(b"", b"e", b"edone", b"d", b"ddata: a", b"d\n", b"dx\n", None, 7),
        # For which there are more ways to read it than there is time.
        b"d" + b"data: a\n" * 1000 + b"x",
    ],
)
def test_what_a_stranger_wrote_is_no_entry(field: Any) -> None:
    assert blocks_from(field) is None


@pytest.mark.parametrize(
    "blocks",
    [[b"data: a\n"], [b"data: a\ndata: \n", b"event: e\n"], [b": c\nretry: 7\ndata: b\n"] * 3],
)
def test_an_entry_is_read_as_it_was_written(blocks: list[bytes]) -> None:
    assert blocks_from(packed(blocks)) == blocks
