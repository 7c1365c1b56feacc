"""Channels over several processes: two of uvicorn and one of gunicorn's threads, on one Redis.

From when an event is published by another process to when each client has it, beside redis-py's
own pub/sub with a queue a client on the same servers. ``python -m benchmarks.workers``, with
redis-server on the path; all of it shares the processors of one machine.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles
from typing import Any, Final

import psutil

from streamkit import Channel
from streamkit.channels.engine import VARIABLE

from .measure import print_table
from .redis import server

__all__ = ["main"]

ROUNDS: Final = 3

CLIENTS: Final = 300
"""Of each process."""

RATE: Final = 20
"""Events a second."""

SECONDS: Final = 6

MARK: Final = b'"due":'

UVICORN: Final = "uvicorn benchmarks.workers_apps:{app}_asgi --port {port} --log-level critical"
GTHREAD: Final = (
    "gunicorn benchmarks.workers_apps:{app}_wsgi --bind 127.0.0.1:{port} -k gthread"
    " --threads 320 --worker-connections 2000 --no-control-socket --log-level critical"
    " --graceful-timeout 1"
)
SERVERS: Final = {"uvicorn": UVICORN, "uvicorn, another": UVICORN, "gthread": GTHREAD}

APPS: Final = {"redis-py: pub/sub, a queue a client": "raw", "streamkit": "ours"}


@contextmanager
def serving(command: str, url: str) -> Iterator[tuple[int, psutil.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = command.format(port=port).split()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, VARIABLE: url},
            stdout=output,
            stderr=output,
        )
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield port, psutil.Process(process.pid)
        finally:
            for child in psutil.Process(process.pid).children():
                child.kill()
            process.kill()
            process.wait()


def publish() -> None:
    """As many as are due, when they are due."""
    import redis

    client = redis.Redis.from_url(os.environ[VARIABLE])
    channel = Channel("orders")
    begin = time.monotonic()
    for number in range(RATE * SECONDS):
        time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
        event = {"due": time.monotonic(), "id": number, "note": "x" * 150}
        if sys.argv[2] == "ours":
            channel.publish(event)
        else:
            client.publish("raw", b"data: %b\n\n" % json.dumps(event).encode())


def measure(app: str, url: str) -> dict[str, list[float]]:
    """Milliseconds of each delivery, by server, and the processor's time of one."""
    latencies: dict[str, list[float]] = {name: [] for name in SERVERS}
    cost: dict[str, list[float]] = {}
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        processes = {}
        request = b"GET /events HTTP/1.1\r\nHost: l\r\nAccept: text/event-stream\r\n\r\n"
        for name, command in SERVERS.items():
            port, process = stack.enter_context(serving(command.replace("{app}", app), url))
            for _ in range(CLIENTS):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                connection.sendall(request)
                selector.register(connection, selectors.EVENT_READ, [name, b""])
            processes[name] = [process, *process.children()]
        time.sleep(3)
        before = {name: busy(each) for name, each in processes.items()}
        publishing = [sys.executable, "-m", "benchmarks.workers", "publish", app]
        with subprocess.Popen(publishing, env={**os.environ, VARIABLE: url}):
            expected = seen = RATE * SECONDS * CLIENTS * len(SERVERS)
            deadline = time.monotonic() + 6 * SECONDS
            while seen and time.monotonic() < deadline:
                for key, _ in selector.select(0.5):
                    received = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    now = time.monotonic()
                    name, _ = key.data
                    for part in received.split(MARK)[1:]:
                        latencies[name].append((now - float(part.partition(b",")[0])) * 1e3)
                        seen -= 1
        for name, each in processes.items():
            cost[f"{name}: µs"] = [(busy(each) - before[name]) * 1e6 * 3 / (expected - seen)]
    return latencies | cost | {"lost": [seen]}


def busy(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def main() -> None:
    if sys.argv[1:2] == ["publish"]:
        publish()
        return
    found: dict[str, list[dict[str, list[float]]]] = {name: [] for name in APPS}
    with server() as (url, _):
        for _ in range(ROUNDS):
            for name, app in APPS.items():
                found[name].append(measure(app, url))
    lines: list[Sequence[Any]] = []
    for way, rounds in found.items():
        for name in SERVERS:
            percentiles = [quantiles(each[name], n=100) for each in rounds]
            lines.append(
                (
                    way,
                    name,
                    f"{median(each[49] for each in percentiles):.1f}",
                    f"{median(each[98] for each in percentiles):.1f}",
                    f"{median(each[f'{name}: µs'][0] for each in rounds):.1f}",
                    f"{sum(each['lost'][0] for each in rounds):.0f}",
                )
            )
    print_table(
        f"{CLIENTS} clients of each of three processes, {RATE} events a second",
        ("way", "server", "p50, ms", "p99, ms", "µs a delivery", "lost, of all"),
        lines,
    )


if __name__ == "__main__":
    main()
