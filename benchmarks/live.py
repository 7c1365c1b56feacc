"""Live streams over real servers, against the usual ways.

Paced and fanned out: what an event costs the server's process, and how late it is. Idle: what a
stream costs in memory. Bursts: how many events a second.
"""

import re
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from statistics import median, quantiles
from typing import Any, Final, NamedTuple, Self, cast

import psutil

from .live_apps import BURST, asgi_app, wsgi_app
from .measure import ROUNDS, Run, print_table, rates
from .server import (
    GRANIAN,
    GUNICORN,
    UVICORN,
    Server,
    read_all,
    run_granian_app,
    run_gunicorn,
    run_uvicorn,
    serving,
)

__all__ = ["main"]

PACED_CLIENTS: Final = 200
FAN_OUT_CLIENTS: Final = 500
IDLE_CLIENTS: Final = 500

SETTLED: Final = 1.0
"""Seconds after which all clients are connected, and a server has warmed up."""

MEASURED: Final = 2.0
"""Seconds."""

SAMPLED: Final = 10
"""Of every so many clients one looks how late its events are. It costs more than to count them."""

RECEIVED_AT_ONCE: Final = 64 * 1024
"""Bytes."""

DUE: Final = re.compile(rb'data: "?([\d.]+)"?[\r\n]')

ASGI: Final = ("raw", "two-tasks", "starlette", "fastapi", "sse-starlette", "streamkit")
WSGI: Final = ("raw", "two-threads", "flask", "streamkit", "streamkit-flask")


class Clients:
    """Clients that read events, in one loop that does less than a server."""

    def __init__(self) -> None:
        self.events = 0
        self.delays: list[float] = []
        """Seconds from when an event was due to when it came, of some of the clients."""
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for connection in self._sockets:
            connection.close()
        self._selector.close()

    def connect(self, server: Server, path: str, clients: int) -> None:
        for number in range(clients):
            connection = socket.create_connection(server.address)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self._sockets.append(connection)
            self._selector.register(connection, selectors.EVENT_READ, number % SAMPLED == 0)

    def read_for(self, seconds: float) -> None:
        self.events = 0
        self.delays.clear()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                self._read(cast("socket.socket", key.fileobj), is_sampled=key.data)

    def _read(self, connection: socket.socket, *, is_sampled: bool) -> None:
        received = connection.recv(RECEIVED_AT_ONCE)
        if not received:
            raise RuntimeError("the server has ended a stream")
        self.events += received.count(b"data: ")
        if is_sampled:
            now = time.monotonic()
            # One that was cut in two is left out.
            self.delays += [now - float(due) for due in DUE.findall(received)]


class Live(NamedTuple):
    microseconds: float
    """Processor time of an event."""
    events: float
    """A second."""
    delays: list[float]
    """Seconds from when an event was due to when it came."""


def processor_time(server: Server) -> float:
    """Seconds of the server's processes, user and system."""
    process = psutil.Process(server.pid)
    seconds = 0.0
    for each in (process, *process.children(recursive=True)):
        times = each.cpu_times()
        seconds += times.user + times.system
    return seconds


def watch(server: Server, path: str, clients: int) -> Live:
    """Read ``path`` as so many clients for some seconds."""
    with Clients() as reading:
        reading.connect(server, path, clients)
        reading.read_for(SETTLED)
        before = processor_time(server)
        reading.read_for(MEASURED)
        cost = processor_time(server) - before
        return Live(cost * 1e6 / reading.events, reading.events / MEASURED, [*reading.delays])


def compare_live(
    title: str,
    run: Callable[[Any, Any], None],
    app: Any,
    scenario: str,
    ways: Sequence[str],
    clients: int,
    rounds: int = ROUNDS,
) -> None:
    """Measure all ``ways`` side by side, each in a process of its own, and print a table."""
    measured: dict[str, list[Live]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            with serving(run, app) as server:
                measured[way].append(watch(server, f"/{scenario}/{way}", clients))
    print_table(
        title,
        ("way", "processor, µs an event", "p50, ms", "p99, ms", "events a second"),
        [
            (
                way,
                f"{median(each.microseconds for each in lives):.1f}",
                f"{median(median(each.delays) for each in lives) * 1e3:.2f}",
                f"{median(quantiles(each.delays, n=100)[98] for each in lives) * 1e3:.1f}",
                f"{median(each.events for each in lives):,.0f}",
            )
            for way, lives in measured.items()
        ],
    )


def resident(server: Server, path: str, clients: int) -> float:
    """KiB that a client more costs the server."""
    process = psutil.Process(server.pid)
    with Clients() as reading:
        # The first ones warm it up.
        reading.connect(server, path, clients // 5)
        reading.read_for(SETTLED)
        before = process.memory_info().rss
        reading.connect(server, path, clients)
        reading.read_for(SETTLED)
        return (process.memory_info().rss - before) / clients / 1024


def compare_idle(rounds: int = ROUNDS) -> None:
    measured: dict[str, list[float]] = {way: [] for way in ASGI}
    for _ in range(rounds):
        for way in ASGI:
            with serving(run_uvicorn, asgi_app) as server:
                measured[way].append(resident(server, f"/idle/{way}", IDLE_CLIENTS))
    print_table(
        f"{IDLE_CLIENTS} idle streams over {UVICORN}",
        ("way", "KiB a stream"),
        [(way, f"{median(each):.1f}") for way, each in measured.items()],
    )


def compare_bursts() -> None:
    with (
        serving(run_uvicorn, asgi_app) as uvicorn,
        serving(run_gunicorn, wsgi_app) as gunicorn,
    ):
        runs = {}
        for server, name, scenario, ways in (
            (
                uvicorn,
                "uvicorn, async",
                "burst",
                ("raw", "starlette", "sse-starlette", "streamkit"),
            ),
            (uvicorn, "uvicorn, sync", "burst_sync", ("starlette", "streamkit")),
            (gunicorn, "gunicorn gthread", "burst", ("raw", "flask", "streamkit-flask")),
        ):
            for way in ways:
                read = partial(read_all, server, f"/{scenario}/{way}", BURST)
                runs[name, way] = Run(BURST, read)
        measured = rates(runs)
    print_table(
        f"{BURST:,} events in a burst",
        ("over", "way", "events a second"),
        [(name, way, f"{rate:,.0f}") for (name, way), rate in measured.items()],
    )


def main() -> None:
    paced = f"{PACED_CLIENTS} clients, an event every 5 ms each"
    compare_live(f"{paced}, {UVICORN}", run_uvicorn, asgi_app, "paced", ASGI, PACED_CLIENTS)
    compare_live(
        f"{paced}, {GRANIAN}",
        run_granian_app,
        asgi_app,
        "paced",
        ("raw", "starlette", "streamkit"),
        PACED_CLIENTS,
    )
    compare_live(f"{paced}, {GUNICORN}", run_gunicorn, wsgi_app, "paced", WSGI, PACED_CLIENTS)
    compare_live(
        f"{FAN_OUT_CLIENTS} subscribers, by queues, {UVICORN}",
        run_uvicorn,
        asgi_app,
        "subscribed",
        ASGI,
        FAN_OUT_CLIENTS,
    )
    compare_idle()
    compare_bursts()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
