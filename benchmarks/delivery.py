"""The cost of one paced delivery in process: the processor time, and nothing else.

Many streams, each of whose events comes by itself, after a pause. What is sent goes nowhere, so
that all of the cost is the stream's.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from statistics import median
from typing import Any, Final

import uvloop

from streamkit_adapters.asgi import StreamingService

from .measure import ROUNDS, print_table

__all__ = ["main"]

STREAMS: Final = 200

PAUSE: Final = 0.005
"""Seconds before each event."""

SETTLED: Final = 0.3
"""Seconds after which all streams have begun."""

MEASURED: Final = 1.0
"""Seconds."""

Send = Callable[[Any], Awaitable[None]]


async def paced() -> AsyncIterator[str]:
    for number in count():
        await asyncio.sleep(PAUSE)
        yield str(number)


def event(text: str) -> Any:
    body = f"data: {text}\n\n".encode()
    return {"type": "http.response.body", "body": body, "more_body": True}


async def loop_by_hand(source: AsyncIterator[str], send: Send) -> None:
    async for text in source:
        await send(event(text))


async def two_tasks(source: AsyncIterator[str], send: Send) -> None:
    """One that reads and one that sends: the least by which a source goes on while a send waits."""
    ready: deque[str] = deque()
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    async def read() -> None:
        async for text in source:
            ready.append(text)
            if not waiter.done():
                waiter.set_result(None)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        while True:
            while not ready:
                waiter = loop.create_future()
                await waiter
            await send(event(ready.popleft()))


async def streamkit(source: AsyncIterator[str], send: Send) -> None:
    async def receive() -> Any:
        await asyncio.Event().wait()

    scope: Any = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    response: Any = StreamingService.sse("paced", source)
    await response(scope, receive, send)


WAYS: Final = {way.__name__: way for way in (loop_by_hand, two_tasks, streamkit)}
LOOPS: Final[dict[str, Callable[[Any], float]]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


async def microseconds_an_event(
    way: Callable[[AsyncIterator[str], Send], Awaitable[None]],
) -> float:
    sent = 0

    async def send(event: Any) -> None:
        nonlocal sent
        sent += 1

    streams = [asyncio.ensure_future(way(paced(), send)) for _ in range(STREAMS)]
    await asyncio.sleep(SETTLED)
    sent, before = 0, time.process_time()
    await asyncio.sleep(MEASURED)
    cost = (time.process_time() - before) * 1e6 / sent
    for stream in streams:
        stream.cancel()
    await asyncio.wait(streams)
    return cost


def main() -> None:
    measured: dict[tuple[str, str], list[float]] = {
        (loop, way): [] for loop in LOOPS for way in WAYS
    }
    for _ in range(ROUNDS):
        for (loop, way), costs in measured.items():
            costs.append(LOOPS[loop](microseconds_an_event(WAYS[way])))
    costs_of = {name: median(costs) for name, costs in measured.items()}
    print_table(
        f"{STREAMS} streams in process, an event every {PAUSE * 1e3:.0f} ms each",
        ("loop", "way", "processor, µs an event", "over the loop by hand"),
        [
            (
                loop,
                way.replace("_", " "),
                f"{cost:.1f}",
                f"{cost - costs_of[loop, 'loop_by_hand']:.1f}",
            )
            for (loop, way), cost in costs_of.items()
        ],
    )


if __name__ == "__main__":
    main()
