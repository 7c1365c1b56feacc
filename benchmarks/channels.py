"""Fan-out: one event for many clients, over uvicorn, each way beside the others.

The processor time of the server's process, the time from when an event was due until a client had
it, and the longest that any other request was answered in. ``python -m benchmarks.channels``.
"""

import asyncio
import multiprocessing
import os
import resource
import selectors
import socket
import sys
import threading
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any, Final, NamedTuple

import psutil
import uvicorn

from streamkit import Channel
from streamkit.encoders import SSEEncoder
from streamkit_adapters.asgi import StreamingService

from .channel_apps import APPS, NAME, app, event
from .measure import print_table
from .server import UVICORN, Server, serving

__all__ = ["main"]

ROUNDS: Final = 3

SECONDS: Final = 4
"""Of publishing."""

LOADS: Final = ((500, 100), (5_000, 10))
"""Subscribers, and events a second."""

SAMPLED: Final = 50
"""Of how many clients each delivery is timed. The others only count."""

MARK: Final = b'"due":'


class Result(NamedTuple):
    cost: float
    """Microseconds of processor a delivery."""
    p50: float
    p99: float
    """Milliseconds from due to received."""
    ping: float
    """The longest, in milliseconds."""
    lost: int
    memory: float
    """KiB a subscriber."""


def run_server(app: Any, address: tuple[str, int]) -> None:
    """Some of these streams never notice that their client has left, and are not waited for."""
    host, port = address
    uvicorn.run(
        app,
        host=host,
        port=port,
        lifespan="off",
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )


def subscribe(server: Server, count: int) -> list[socket.socket]:
    connections = []
    request = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    for _ in range(count):
        connection = socket.create_connection(server.address)
        connection.sendall(request)
        connections.append(connection)
    return connections


def ask(server: Server, path: str) -> float:
    """Milliseconds that an answer takes."""
    began = time.monotonic()
    with socket.create_connection(server.address, 20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n".encode())
        while connection.recv(4096):
            pass
    return (time.monotonic() - began) * 1e3


def ping(server: Server, stop: Any, longest: Any) -> None:
    """Note the longest that any other request is answered in, until it is to ``stop``."""
    while not stop.wait(0.05):
        longest.value = max(longest.value, ask(server, "/ping"))


def due_times(received: bytes) -> list[float]:
    times = []
    for part in received.split(MARK)[1:]:
        times.append(float(part.partition(b",")[0]))
    return times


def measure(name: str, subscribers: int, rate: int) -> Result:
    os.environ[NAME] = name
    with serving(run_server, app) as server:
        process = psutil.Process(server.pid)
        ask(server, "/ping")
        idle = process.memory_info().rss
        connections = subscribe(server, subscribers)
        time.sleep(1.0 + subscribers / 2_000)
        memory = (process.memory_info().rss - idle) / 1024 / subscribers
        count = SECONDS * rate
        expected = subscribers * count
        selector = selectors.DefaultSelector()
        for number, connection in enumerate(connections):
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, number < SAMPLED)
        # Not in this process, which is busy with what it receives.
        spawn = multiprocessing.get_context("spawn")
        stop, longest = spawn.Event(), spawn.Value("d", 0.0)
        pinging = spawn.Process(target=ping, args=(server, stop, longest))
        latencies: list[float] = []
        seen = 0
        pinging.start()
        ask(server, f"/publish?rate={rate}&count={count}")
        used = sum(process.cpu_times()[:2])
        deadline = time.monotonic() + 4 * SECONDS
        while seen < expected and time.monotonic() < deadline:
            for key, _ in selector.select(0.5):
                received = key.fileobj.recv(262_144)  # type: ignore[union-attr]
                if key.data:
                    now = time.monotonic()
                    latencies += [(now - due) * 1e3 for due in due_times(received)]
                seen += received.count(MARK)
        used = sum(process.cpu_times()[:2]) - used
        stop.set()
        pinging.join()
        for connection in connections:
            connection.close()
        selector.close()
        cuts = quantiles(latencies, n=100) if len(latencies) > 1 else [float("nan")] * 99
        return Result(
            used / max(seen, 1) * 1e6,
            median(latencies or [float("nan")]),
            cuts[98],
            longest.value,
            expected - seen,
            memory,
        )


def publishing() -> None:
    """What an event costs whoever publishes it, by how many listen on a loop of another thread.

    The processor time of the thread that publishes, without a pause. With one subscriber the loop
    is back at its wait after a few events, and is woken anew, which is a write to a pipe; with
    10,000 it is still busy with the first.
    """
    lines = []
    encoder = SSEEncoder()
    value = event(time.monotonic(), 1)
    encoding = best(lambda: encoder.event(value))
    for subscribers in (0, 1, 10_000):
        channel = Channel(f"of-{subscribers}")
        with listening(channel, subscribers):
            # All of them at once: the loop has no turn in between.
            cost = best(lambda channel=channel: channel.publish(value))  # type: ignore[misc]
        lines.append((f"{subscribers:,}", f"{cost:.1f}", f"{cost - encoding:.1f}"))
    print_table(
        "Publishing, by a thread",
        ("subscribers on a loop", "µs an event", "over encoding it"),
        lines,
    )


def best(call: Callable[[], object]) -> float:
    """Microseconds: the least of many times, as others work on this machine too."""
    times = timeit.repeat(call, number=1_000, repeat=50, timer=time.thread_time)
    return min(times) / 1_000 * 1e6


@contextmanager
def listening(channel: Channel, subscribers: int) -> Iterator[None]:
    """Within the block so many listen, on the loop of a thread, which sends into nothing."""
    ready, done = threading.Event(), threading.Event()

    async def send(event: Any) -> None:
        pass

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def listen() -> None:
        scope: Any = {"type": "http", "method": "GET", "headers": [], "asgi": {}}
        streams = [
            asyncio.create_task(StreamingService.sse("s", channel)(scope, receive, send))
            for _ in range(subscribers)
        ]
        await asyncio.sleep(0.5 + subscribers / 2_000)
        ready.set()
        await asyncio.to_thread(done.wait)
        for stream in streams:
            stream.cancel()
        if streams:
            await asyncio.wait(streams)

    thread = threading.Thread(target=asyncio.run, args=(listen(),))
    thread.start()
    ready.wait()
    yield
    done.set()
    thread.join()


def main(names: Sequence[str] = tuple(APPS)) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    publishing()
    for subscribers, rate in LOADS:
        results: dict[str, list[Result]] = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name, found in results.items():
                found.append(measure(name, subscribers, rate))
        lines = []
        raw = median(each.cost for each in results[names[0]])
        for name, found in results.items():
            cost = median(each.cost for each in found)
            lines.append(
                (
                    name,
                    f"{cost:.1f}",
                    f"{cost / raw:.2f}",
                    f"{median(each.p50 for each in found):.1f}",
                    f"{median(each.p99 for each in found):.1f}",
                    f"{median(each.ping for each in found):.0f}",
                    f"{sum(each.lost for each in found)}",
                    f"{median(each.memory for each in found):.1f}",
                )
            )
        print_table(
            f"{subscribers:,} subscribers, {rate} events a second, {UVICORN}",
            (
                "way",
                "processor, µs a delivery",
                "raw = 1",
                "p50, ms",
                "p99, ms",
                "other requests, at most, ms",
                "lost",
                "KiB a subscriber",
            ),
            lines,
        )


if __name__ == "__main__":
    main([name for name in APPS if not sys.argv[1:] or any(part in name for part in sys.argv[1:])])
