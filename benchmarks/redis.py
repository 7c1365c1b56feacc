"""Channels on Redis beside redis-py by itself: publishes, and a channel a user in one process.

``python -m benchmarks.redis``, with redis-server on the path. One machine: the server takes its
share of the same processors.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, Final

import psutil
import redis
import redis.asyncio

from streamkit import Channel, channels
from streamkit.channels.engine import VARIABLE, engine
from streamkit.channels.listener import Listener

from .measure import print_table

__all__ = ["main"]

ROUNDS: Final = 3

EVENTS: Final = 8_000

THREADS: Final = 8

CHANNELS: Final = 5_000

VALUE: Final = {"id": 7, "status": "open", "total": 12.5, "note": "x" * 150}

PAYLOAD: Final = b"x" * 220


@contextmanager
def server() -> Iterator[tuple[str, psutil.Process]]:
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server is needed on the path")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    directory = tempfile.mkdtemp(prefix="redis-")
    command = [program, "--port", f"{port}", "--save", "", "--dir", directory]
    process = subprocess.Popen([*command, "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0", psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory)


def in_threads(work: Callable[[], object]) -> float:
    """Events a second."""

    def run() -> None:
        for _ in range(EVENTS // THREADS):
            work()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return EVENTS / (time.perf_counter() - begin)


async def in_tasks(work: Callable[[], Any], tasks: int = 100) -> float:
    async def run() -> None:
        for _ in range(EVENTS // tasks):
            await work()

    await work()
    begin = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(tasks)))
    return EVENTS / (time.perf_counter() - begin)


def publishing(url: str, process: psutil.Process) -> None:
    orders = Channel("orders")
    client = redis.Redis.from_url(url)

    async def theirs() -> float:
        pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=50, timeout=None)
        async with redis.asyncio.Redis(connection_pool=pool) as each:
            return await in_tasks(lambda: each.publish("raw", PAYLOAD))

    async def ours() -> float:
        return await in_tasks(lambda: orders.apublish(VALUE))

    ways: dict[str, Callable[[], float]] = {
        "redis-py: PUBLISH, 8 threads": lambda: in_threads(lambda: client.publish("raw", PAYLOAD)),
        "streamkit: publish, 8 threads": lambda: in_threads(lambda: orders.publish(VALUE)),
        "redis-py: PUBLISH, 100 tasks": lambda: asyncio.run(theirs()),
        "streamkit: apublish, 100 tasks": lambda: asyncio.run(ours()),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    busy: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, run in ways.items():
            before = sum(process.cpu_times()[:2])
            rates[way].append(run())
            busy[way].append((sum(process.cpu_times()[:2]) - before) / EVENTS * 1e6)
    print_table(
        "Publishing, of one process",
        ("way", "events/s", "µs of Redis each"),
        [(way, f"{median(rates[way]):,.0f}", f"{median(busy[way]):.0f}") for way in ways],
    )


def users(url: str) -> None:
    """A channel a user, each with one who listens, all in this process."""
    own = psutil.Process(os.getpid())
    names = [f"user:{number}" for number in range(CHANNELS)]
    before = own.memory_info().rss
    begin = time.perf_counter()
    listeners = [Listener(engine(), [name], None, None) for name in names]
    for listener in listeners:
        listener.wait(listener.place, 60)
    subscribed = time.perf_counter() - begin
    memory = (own.memory_info().rss - before) / CHANNELS / 1024

    command = [sys.executable, "-m", "benchmarks.redis", "publish", *names]
    with subprocess.Popen(command, env={**os.environ, VARIABLE: url}):
        listeners[0].wait(lambda: not listeners[0].is_at_head(), 60)
        begin = time.perf_counter()
        for listener in listeners:
            listener.wait(lambda listener=listener: not listener.is_at_head(), 60)
        rate = CHANNELS / (time.perf_counter() - begin)
    client = redis.Redis.from_url(url)
    begin = time.perf_counter()
    client.client_kill_filter(_type="pubsub")
    for name in names[:: CHANNELS // 10]:
        Channel(name).publish(VALUE)
    for listener in listeners[:: CHANNELS // 10]:
        cursor = listener.seats[0].cursor
        listener.wait(lambda cursor=cursor: cursor.ring.head >= 2, 60)
    back = time.perf_counter() - begin
    size = client.memory_usage(f"streamkit:channel:{names[0]}") or 0
    print_table(
        "A channel a user, of one process",
        ("what", "measured"),
        [
            ("channels", f"{CHANNELS:,}"),
            ("all subscribed, from nothing", f"{subscribed:.1f} s"),
            ("ten of them hear again after the connection was killed", f"{back:.1f} s"),
            ("published by another process, and delivered", f"{rate:,.0f}/s"),
            ("memory a channel in this process", f"{memory:.1f} KiB"),
            ("memory a channel in Redis, with two events", f"{size / 1024:.1f} KiB"),
            ("connections of the reader", "2"),
        ],
    )
    for listener in listeners:
        listener.leave()


async def publish_to(names: Sequence[str]) -> None:
    gate = asyncio.Semaphore(200)

    async def one(name: str) -> None:
        async with gate:
            await Channel(name).apublish(VALUE)

    await asyncio.gather(*map(one, names))


def main() -> None:
    if sys.argv[1:2] == ["publish"]:
        asyncio.run(publish_to(sys.argv[2:]))
        return
    with server() as (url, process):
        channels.use(url)
        publishing(url, process)
        users(url)
        channels.use(None)


if __name__ == "__main__":
    main()
