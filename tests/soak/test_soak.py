"""Minutes of everything at once. Run by ``tox run -e soak``, and not by default."""

import random
import re
import resource
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPException
from typing import Any

import pytest
from servers.client import Client
from servers.ending import Ending
from servers.harness import until
from servers.network import isolate
from servers.slow_readers import MIB, figures, read_slowly, soaked

SECONDS = 60

HEARTBEAT = b": heartbeat\n\n"

WHOLE: dict[str, Callable[[int], bytes]] = {
    "/sse": lambda n: b"".join(b"data: %d\n\n" % each for each in range(n)),
    "/export": lambda n: b"".join(b'{"n":%d}\n' % each for each in range(n)),
    "/download": lambda n: bytes(64 * 1024 * n),
}


@pytest.fixture(autouse=True)
def _descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))


def test_five_hundred_slow_readers_are_accounted_for() -> None:
    def read() -> None:
        # Else each of them could cost the kernel 4 MiB.
        isolate()
        subprocess.run(["sysctl", "-q", "net.ipv4.tcp_wmem=4096 16384 262144"], check=True)
        with soaked("uvicorn-h11") as server:
            found = read_slowly(server, "async", slow=500, fast=5, seconds=SECONDS)
        print(found, f"{found.made / SECONDS:.0f} events/s")
        assert found.dropped == found.counted > 0
        assert found.missed == 0
        assert found.received + found.dropped == found.made
        # In the second half: at the same pace it would be twice as much in all of the time.
        assert found.growth < 32 * MIB

    with ThreadPoolExecutor(1) as thread:
        thread.submit(read).result()


class Crowd:
    """Clients that come and go in every way, until it is time."""

    def __init__(self, server: Ending, seconds: float) -> None:
        self._server = server
        self._ends_at = time.monotonic() + seconds

    def come_and_go(self, clients: int) -> Counter[str]:
        """How often what was done."""
        with ThreadPoolExecutor(clients) as pool:
            return sum(pool.map(self._come_and_go, range(clients)), Counter())

    def _come_and_go(self, seed: int) -> Counter[str]:
        done: Counter[str] = Counter()
        choose = random.Random(seed)
        while time.monotonic() < self._ends_at:
            behaviour = choose.choice([self.read_all, self.leave, self.stall, self.fail])
            behaviour(choose)
            done[behaviour.__name__] += 1
        return done

    def ask(self, choose: random.Random, **query: object) -> tuple[str, Client]:
        path = choose.choice([*WHOLE])
        client = self._server.client(receive_buffer=choose.choice([None, 64 * 1024]))
        client.ask(path, source=choose.choice(self._server.row.sources), **query)
        return path, client

    def read_all(self, choose: random.Random) -> None:
        elements = choose.randrange(200)
        path, client = self.ask(choose, count=elements)
        with client:
            response = client.read_head()
            assert response.status == 200
            body = response.read().replace(HEARTBEAT, b"")
            assert body == WHOLE[path](elements), path

    def leave(self, choose: random.Random) -> None:
        _, client = self.ask(choose, rate=choose.choice([10, 1000, 1_000_000]))
        if choose.random() < 0.7:
            response = client.read_head()
            for _ in range(choose.randrange(5)):
                response.read1(100_000)
        choose.choice([client.close, client.reset])()

    def stall(self, choose: random.Random) -> None:
        _, client = self.ask(choose, rate=1_000_000)
        with client:
            client.read_head()
            time.sleep(choose.uniform(0.5, 3))

    def fail(self, choose: random.Random) -> None:
        _, client = self.ask(choose, count=choose.randrange(20), fails=1)
        with client:
            response = client.read_head()
            if response.status == 200:
                with pytest.raises((HTTPException, ConnectionError)):
                    response.read()
            else:
                assert response.status == 500


@pytest.mark.parametrize(
    ("server", "clients"), [("uvicorn-h11", 300), ("hypercorn", 300), ("gunicorn-gthread", 50)]
)
def test_a_crowd_leaves_nothing_behind(server: str, clients: int) -> None:
    with soaked(server, TEST_HEARTBEAT="0.5", TEST_MAX_STALL="1") as running:
        for source in running.row.sources:
            running.get("/sse", source=source, count=1)
        # What a process keeps for its busiest moment is then there already.
        Crowd(running, seconds=10).come_and_go(clients)
        before = settled(running)
        done = Crowd(running, seconds=30).come_and_go(clients)
        after = settled(running)
        for account in after["accounts"]:
            assert account["closed"] == 1
            assert account["ended"] == account["begun"] <= 1
        totals = {name: after["totals"][name] - before["totals"][name] for name in after["totals"]}
        given = sum(each["given"] for each in after["accounts"][len(before["accounts"]) :])
        outcomes = {
            name: totals[name]
            for name in ("completed", "disconnected", "failed", "elements", "dropped")
        }
        print(f"{server}: {done}, {outcomes}")
        print({name: (before[name], after[name]) for name in ("memory", "descriptors", "tasks")})
        assert totals["completed"] == done["read_all"]
        assert totals["failed"] == done["fail"]
        # Some have left before their stream began.
        assert totals["disconnected"] <= done["leave"] + done["stall"]
        # The last element of one that was left may have had no room yet, and is not counted then.
        assert 0 <= given - totals["elements"] <= totals["disconnected"]
        assert after["threads"] == before["threads"]
        assert after["tasks"] <= before["tasks"]
        assert after["descriptors"] <= before["descriptors"]
        assert after["memory"] - before["memory"] < 16 * MIB


def settled(server: Ending) -> Any:
    """The figures once all streams are over, and everybody has left."""
    until(lambda: figures(server)["totals"]["active"] == 0, 60)
    time.sleep(3)
    return figures(server)


def test_a_reload_under_load_loses_no_stream() -> None:
    """Of gunicorn, by SIGHUP: its old workers end, and new ones have taken over by then."""
    with soaked("gunicorn-gthread") as server, ExitStack() as clients:
        before = figures(server)["pid"]
        streams = []
        for n in range(50):
            client = clients.enter_context(server.client())
            client.ask("/sse", source=["sync", "async"][n % 2], rate=10)
            streams.append(client.read_head())
        server.send(signal.SIGHUP)
        for stream in streams:
            assert re.search(rb"retry: \d+\n\n\Z", stream.read())
        until(lambda: figures(server)["pid"] != before)


@pytest.mark.parametrize("server", ["uvicorn-h11", "hypercorn", "granian-asgi", "daphne"])
def test_five_hundred_streams_end_with_their_process(server: str) -> None:
    """All of them end well, and the process with them."""
    with soaked(server) as running, ExitStack() as clients:
        connections = []
        for _ in range(500):
            connection = clients.enter_context(closing(running.connect()))
            connection.sendall(b"GET /sse?source=async&rate=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connections.append(connection)
        for connection in connections:
            received(connection, b"data: 0\n\n")
        asked_at = time.monotonic()
        running.send(signal.SIGTERM)
        for connection in connections:
            received(connection, b"\r\n0\r\n\r\n")
        running.wait()
        seconds = time.monotonic() - asked_at
        print(f"{server}: 500 streams, gone in {seconds:.2f} s")


def received(connection: socket.socket, end: bytes) -> None:
    body = b""
    while end not in body:
        got = connection.recv(65536)
        assert got, body
        body += got
