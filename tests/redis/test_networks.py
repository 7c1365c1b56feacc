"""A Redis on another machine, and what may happen to the network between."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from redis_followers import Follower, publish
from redis_server import RedisServer, redis_server
from servers.network import isolate, run

from streamkit.channels.frame import frame_of
from streamkit.channels.redis import reader as readers
from streamkit.channels.redis.engine import Redis

OURS, MOVED, THEIRS = "192.0.2.1", "192.0.2.2", "192.0.2.9"


@contextmanager
def another_machine() -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor, RedisServer]]:
    """A thread on each of two machines, and the Redis that runs on the second."""
    with ThreadPoolExecutor(1) as here, ThreadPoolExecutor(1) as there:
        here.submit(isolate).result()
        network = f"/proc/{os.getpid()}/task/{there.submit(isolate).result()}/ns/net"
        for command in (
            f"ip link add here type veth peer name there netns {network}",
            f"ip address add {OURS}/28 dev here",
            "ip link set here up",
        ):
            here.submit(run, command).result()
        for command in (f"ip address add {THEIRS}/28 dev there", "ip link set there up"):
            there.submit(run, command).result()
        options = ("--bind", "127.0.0.1", THEIRS, "--protected-mode", "no")
        with redis_server_of(there, *options) as server:
            yield here, there, server


@contextmanager
def redis_server_of(there: ThreadPoolExecutor, *options: str) -> Iterator[RedisServer]:
    running = redis_server(*options)
    server = there.submit(running.__enter__).result()
    try:
        yield server
    finally:
        there.submit(running.__exit__, None, None, None).result()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "SILENCE", 0.5)
    monkeypatch.setattr(readers, "PATIENCE", 1.0)


def test_a_connection_is_half_open(processes: Callable[[str], Redis], name: str) -> None:
    """The other side goes on sending to where nobody is any more, and nobody is told."""
    with another_machine() as (here, there, server):

        def move() -> None:
            # As after a failover of addresses, or a router that forgot of the connection.
            run(f"ip address del {OURS}/28 dev here")
            run(f"ip address add {MOVED}/28 dev here")

        def follow() -> None:
            process = processes(f"redis://{THEIRS}:{server.port}/0")
            follower = Follower(process, name).placed()
            publish(process, name, 0)
            assert follower.data(1) == [0]
            move()
            there.submit(publish, processes(server.url), name, 1).result()
            before = time.monotonic()
            with pytest.raises(ConnectionError):
                publish(process, name, "on the connection of before")
            # A machine that is busy with others is no fault.
            assert time.monotonic() - before < 3
            publish(process, name, 2)
            asyncio.run(process.apublish(name, frame_of(3)))
            assert follower.data(3) == [1, 2, 3]
            assert not follower.gaps

        here.submit(follow).result()


def test_the_network_is_away_for_a_while(processes: Callable[[str], Redis], name: str) -> None:
    with another_machine() as (here, there, server):

        def follow() -> None:
            process = processes(f"redis://{THEIRS}:{server.port}/0")
            follower = Follower(process, name).placed()
            publish(process, name, 0)
            assert follower.data(1) == [0]
            there.submit(run, "ip link set there down").result()
            for number in range(1, 100):
                there.submit(publish, local, name, number).result()
            for _ in range(2):
                before = time.monotonic()
                with pytest.raises(ConnectionError):
                    publish(process, name, "never")
                with pytest.raises(ConnectionError):
                    asyncio.run(process.apublish(name, frame_of("never")))
                assert time.monotonic() - before < 6
            there.submit(run, "ip link set there up").result()
            assert follower.data(99) == [*range(1, 100)]
            assert not follower.gaps

        local = processes(server.url)
        here.submit(follow).result()
