"""Resumable answers beside plain event streams: what a token costs, and how late it comes.

``python -m benchmarks.resumable``, with redis-server on the path for the second part. What is sent
goes nowhere, so that all of the cost is the streams'.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from statistics import median, quantiles
from typing import Any, Final

import redis

from streamkit import Resumable, channels, lossless
from streamkit_adapters.asgi import StreamingService

from .measure import ROUNDS, print_table
from .redis import server

__all__ = ["main"]

STREAMS: Final = 100

PAUSE: Final = 0.01
"""Seconds before each token: 100 a second of each answer."""

SETTLED: Final = 0.5
"""Seconds after which all have begun."""

MEASURED: Final = 2.0
"""Seconds."""

Send = Callable[[Any], Awaitable[None]]

answers = Resumable("answers")

_keys: Final = count()


async def tokens() -> AsyncIterator[str]:
    """Each says when it was made."""
    while True:
        await asyncio.sleep(PAUSE)
        yield f"{time.perf_counter()}"


async def streamed(events: Any, send: Send) -> None:
    async def receive() -> Any:
        await asyncio.Event().wait()

    scope: Any = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    response: Any = StreamingService.sse("answer", events)
    await response(scope, receive, send)


async def plain(send: Send) -> None:
    await streamed(lossless(tokens()), send)


async def resumable(send: Send) -> None:
    key = f"{next(_keys)}"
    try:
        await streamed(answers.start(key, tokens()), send)
    finally:
        await answers.astop(key)


async def measured(way: Callable[[Send], Awaitable[None]]) -> tuple[float, list[float]]:
    """Microseconds of the processor a token, and the seconds that each came late."""
    delays: list[float] = []
    sent = 0

    async def send(event: Any) -> None:
        nonlocal sent
        now = time.perf_counter()
        for line in event.get("body", b"").split(b"\n"):
            if line.startswith(b"data: "):
                sent += 1
                delays.append(now - float(line[6:]))

    streams = [asyncio.ensure_future(way(send)) for _ in range(STREAMS)]
    await asyncio.sleep(SETTLED)
    delays.clear()
    sent, before = 0, time.process_time()
    await asyncio.sleep(MEASURED)
    cost = (time.process_time() - before) * 1e6 / sent
    late = [*delays]
    for stream in streams:
        stream.cancel()
    await asyncio.wait(streams)
    return cost, late


def compare(ways: dict[str, tuple[str | None, Callable[[Send], Awaitable[None]]]]) -> None:
    costs: dict[str, list[float]] = {name: [] for name in ways}
    late: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (url, way) in ways.items():
            channels.use(url)
            cost, delays = asyncio.run(measured(way))
            costs[name].append(cost)
            late[name].append(quantiles(delays, n=100)[98] * 1e3)
    channels.use(None)
    base = next(iter(ways))
    print_table(
        f"{STREAMS} answers, {1 / PAUSE:.0f} tokens a second each, in one process",
        ("way", "processor, µs a token", "beside a plain stream", "late at the most (p99), ms"),
        [
            (
                name,
                f"{median(costs[name]):.1f}",
                f"{median(costs[name]) / median(costs[base]):.2f} times",
                f"{median(late[name]):.1f}",
            )
            for name in ways
        ],
    )


def round_trips(url: str) -> None:
    client = redis.Redis.from_url(url)
    client.config_resetstat()
    channels.use(url)
    _, late = asyncio.run(measured(resumable))
    stats = client.info("commandstats")
    rate = stats["cmdstat_evalsha"]["calls"] / (len(late) / MEASURED * (MEASURED + SETTLED))
    busy = stats["cmdstat_evalsha"]["usec_per_call"]
    print(f"\nRedis is asked {rate:.2f} times a token, for {busy:.0f} µs each.")
    channels.use(None)


def main() -> None:
    ways: dict[str, Any] = {"plain sse": (None, plain), "in memory": (None, resumable)}
    if shutil.which("redis-server") is None:
        compare(ways)
        return
    with server() as (url, _):
        compare(ways | {"in Redis": (url, resumable)})
        round_trips(url)


if __name__ == "__main__":
    main()
