"""One event for the clients of two processes, by way of a Redis, each way beside the others.

How late it is, what it costs, and what is lost: while a client is away and comes back to the other
process, by a client that reads nothing for a while, and when the connections to Redis are killed.
``python -m benchmarks.over_redis [part of a name …]``, with redis-server on the path.
"""

import os
import re
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles
from typing import Final, NamedTuple

import psutil
import redis

from .channel_apps import NAME
from .channels import MARK, ask, due_times, run_server
from .measure import print_table
from .redis import server as redis_server
from .redis_apps import APPS, URL, app
from .server import UVICORN, Server, serving

__all__ = ["main"]

ROUNDS: Final = 3

SUBSCRIBERS: Final = 150
"""Of each of the two processes."""

RATE: Final = 20
"""Events a second."""

SECONDS: Final = 4

AWAY: Final = 20
"""Clients that lose their connection, and events that are published until they are back."""

BURST: Final = 3_000
"""Events that are published, 500 a second, while a client reads nothing."""

SIZE: Final = 4_096
"""Bytes of each of these, so that they are more than the kernel keeps for a client."""

NUMBER: Final = re.compile(rb'"number": ?(\d+)')

MISSED: Final = re.compile(rb'event: gap\ndata: \{"missed":(\d+|null)\}')


class Result(NamedTuple):
    p50: float
    p99: float
    """Milliseconds from due to received."""
    cost: float
    """Microseconds of processor of both servers a delivery."""
    redis: float
    """Microseconds of processor of Redis an event."""
    connections: int
    """To Redis, of both processes."""
    away: float
    """The share lost of what was published while clients were away, and nobody told them."""
    slow: float
    """The share lost of what was published while a client read nothing, and nobody told it."""
    told: float
    """The share of the same that it was told it had lost."""
    memory: float
    """MiB by which that client made its process grow, at the most."""
    killed: float
    """The share lost, and not told, of what was published after the connections were killed."""


class Client:
    """Notes the numbers of events and what it was told that it missed."""

    def __init__(self, server: Server, last_event_id: bytes = b"") -> None:
        self.last_event_id = last_event_id
        self.numbers: set[int] = set()
        self.told = 0
        self.received = b""
        self.socket = socket.create_connection(server.address)
        head = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        if last_event_id:
            head += b"Last-Event-ID: " + last_event_id + b"\r\n"
        self.socket.sendall(head + b"\r\n")

    def read(self) -> int:
        """What there is now, at once. Returns how much."""
        received = self.socket.recv(262_144)
        # What ends an event is a matter of taste, and so is how chunks cut them.
        text = (self.received + received).replace(b"\r\n", b"\n")
        whole, _, self.received = text.rpartition(b"\n\n")
        for each in NUMBER.findall(whole):
            self.numbers.add(int(each))
        for each in MISSED.findall(whole):
            self.told += int(each) if each != b"null" else BURST
        if ids := re.findall(rb"^id: ?(.+)$", whole, re.M):
            self.last_event_id = ids[-1]
        return len(received)

    def read_for(self, seconds: float, until: int = 0) -> None:
        """Until so many numbers are there, or nothing has come for that time."""
        self.socket.settimeout(seconds)
        try:
            while (not until or len(self.numbers) + self.told < until) and self.read():
                pass
        except TimeoutError:
            pass


def lost(client: Client, expected: range) -> float:
    """The share of these numbers that never came, and that it was not told of."""
    missing = len(expected) - len(client.numbers & {*expected})
    return max(0, missing - client.told) / len(expected)


@contextmanager
def two_servers() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(run_server, app)) for _ in range(2)]
        for each in servers:
            ask(each, "/ping")
        yield servers


def publish(server: Server, count: int, rate: int = 1_000, size: int = 0) -> None:
    ask(server, f"/publish?rate={rate}&count={count}&size={size}")
    time.sleep(count / rate)


def processor(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def steady(
    servers: list[Server], store: psutil.Process
) -> tuple[float, float, float, float, list[Client]]:
    clients = [Client(servers[n % 2]) for n in range(2 * SUBSCRIBERS)]
    time.sleep(2)
    count = RATE * SECONDS
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    processes = [psutil.Process(each.pid) for each in servers]
    used, used_by_redis = processor(processes), processor([store])
    ask(servers[0], f"/publish?rate={RATE}&count={count}")
    latencies: list[float] = []
    seen, deadline = 0, time.monotonic() + 3 * SECONDS
    while seen < count * len(clients) and time.monotonic() < deadline:
        for key, _ in selector.select(0.5):
            received = key.fileobj.recv(262_144)  # type: ignore[union-attr]
            now = time.monotonic()
            latencies += [(now - due) * 1e3 for due in due_times(received)]
            seen += received.count(MARK)
    selector.close()
    cuts = quantiles(latencies, n=100) if len(latencies) > 1 else [float("nan")] * 99
    cost = (processor(processes) - used) / max(seen, 1) * 1e6
    cost_of_redis = (processor([store]) - used_by_redis) / count * 1e6
    return median(latencies or [float("nan")]), cuts[98], cost, cost_of_redis, clients


def coming_back(servers: list[Server]) -> float:
    """They see one event, are away for some, and come back to the other process."""
    clients = [Client(servers[n % 2]) for n in range(AWAY)]
    time.sleep(1)
    publish(servers[0], 1)
    for client in clients:
        client.read_for(2, 1)
        client.socket.close()
    time.sleep(0.5)
    publish(servers[0], AWAY)
    shares = []
    for n, client in enumerate(clients):
        back = Client(servers[1 - n % 2], client.last_event_id)
        back.read_for(1, AWAY)
        # The number begins anew with each call of /publish.
        shares.append(lost(back, range(AWAY)))
        back.socket.close()
    return sum(shares) / len(shares)


def slow(servers: list[Server]) -> tuple[float, float, float]:
    """A client that takes nothing while much is published, and then reads on."""
    client = Client(servers[1])
    time.sleep(1)
    process = psutil.Process(servers[1].pid)
    before, most, done = process.memory_info().rss, 0, threading.Event()

    def look() -> None:
        nonlocal most
        while not done.wait(0.1):
            most = max(most, process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    publish(servers[0], BURST, 500, SIZE)
    client.read_for(2, BURST)
    done.set()
    looking.join()
    client.socket.close()
    grown = max(0, most - before) / 2**20
    return lost(client, range(BURST)), min(client.told, BURST) / BURST, grown


def killed(servers: list[Server], url: str) -> float:
    """Redis closes all connections, and what is published from then on is waited for."""
    clients = [Client(servers[n % 2]) for n in range(10)]
    time.sleep(1)
    store = redis.Redis.from_url(url)
    for kind in ("pubsub", "normal"):
        store.client_kill_filter(_type=kind, skipme=True)
    publish(servers[0], 50, 10)
    for client in clients:
        client.read_for(1, 50)
        client.socket.close()
    store.close()
    return sum(lost(client, range(50)) for client in clients) / len(clients)


def measure(name: str) -> Result:
    with redis_server() as (url, store):
        os.environ.update({NAME: name, URL: url})
        with two_servers() as servers:
            p50, p99, cost, cost_of_redis, clients = steady(servers, store)
            client = redis.Redis.from_url(url)
            connections = len(client.client_list()) - 1
            client.close()
            for each in clients:
                each.socket.close()
            away = coming_back(servers)
            unread, told, memory = slow(servers)
            after_kill = killed(servers, url)
    return Result(
        p50, p99, cost, cost_of_redis, connections, away, unread, told, memory, after_kill
    )


def main(names: Sequence[str] = tuple(APPS)) -> None:
    results: dict[str, list[Result]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, found in results.items():
            found.append(measure(name))
    lines, losses = [], []
    first = median(each.cost for each in results[names[0]])
    for name, found in results.items():
        middle = Result(*(median(values) for values in zip(*found, strict=True)))
        lines.append(
            (
                name,
                f"{middle.p50:.0f}, {middle.p99:.0f}",
                f"{middle.cost:.0f}",
                f"{middle.cost / first:.2f}",
                f"{middle.redis:.0f}",
                f"{middle.connections:.0f}",
            )
        )
        losses.append(
            (
                name,
                f"{middle.away:.0%}",
                f"{middle.slow:.0%}",
                f"{middle.told:.0%}",
                f"{middle.memory:.1f}",
                f"{middle.killed:.0%}",
            )
        )
    print_table(
        f"{2 * SUBSCRIBERS} subscribers, {RATE} events a second, {UVICORN}",
        (
            "way",
            "p50, p99 in ms",
            "processor, µs a delivery",
            f"{names[0]} = 1",
            "of Redis, µs an event",
            "connections",
        ),
        lines,
    )
    print_table(
        "Events that never came",
        (
            "way",
            f"client away for {AWAY}, back at the other process: lost, untold",
            f"client that did not read for {BURST:,} of 4 KiB: lost, untold",
            "lost, and told",
            "its process grew by, MiB",
            "connections to Redis killed: lost, untold",
        ),
        losses,
    )


if __name__ == "__main__":
    main([name for name in APPS if not sys.argv[1:] or any(part in name for part in sys.argv[1:])])
