"""Many who come to a loop at the same moment: they begin some at a time, and others run between."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from math import inf
from typing import Any
from uuid import uuid4

import pytest
from asgi_client import Client, run, scope
from combinations import WAIT, AsyncSource, SyncSource
from prometheus_client import CollectorRegistry

from streamkit import Channel
from streamkit.response import PORTION
from streamkit_adapters.asgi import StreamingService

SOURCES = pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])

MANY = 5 * PORTION


class Crowd:
    """Clients that ask at the same moment, each for a stream of its own."""

    def __init__(self, sources: list[Any], method: str = "GET") -> None:
        self.clients = [Client() for _ in sources]
        self.tasks = [
            asyncio.create_task(
                StreamingService.sse("s", source)(
                    scope(method, headers=[(b"last-event-id", b"1-0")]), client.receive, client.send
                )
            )
            for source, client in zip(sources, self.clients, strict=True)
        ]

    async def leave(self) -> None:
        for client in self.clients:
            client.gone.set()
        await asyncio.wait(self.tasks)


@asynccontextmanager
async def crowd(sources: list[Any]) -> AsyncIterator[Crowd]:
    crowd = Crowd(sources)
    # All of them have asked, and the first have begun.
    await asyncio.sleep(0)
    yield crowd
    await crowd.leave()


async def forever() -> None:
    await asyncio.Event().wait()


def test_others_have_a_turn_between_the_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow this machine is, no turn takes long.
    monkeypatch.setattr("streamkit.stream.turn.LONG_TURN", inf)

    async def main() -> None:
        channel = Channel(f"test-{uuid4()}")
        await channel.apublish("first")
        begun = [0]
        async with crowd([channel] * MANY) as clients:
            while begun[-1] < MANY:
                begun.append(sum(bool(client.sent) for client in clients.clients))
                await asyncio.sleep(0)
            assert all(b"data: first" in client.body for client in clients.clients)
        steps = [after - before for before, after in pairwise(begun)]
        assert max(steps) == PORTION

    run(main)


def test_they_begin_in_the_order_in_which_they_came() -> None:
    async def main() -> None:
        begun: list[int] = []

        async def events(number: int) -> AsyncIterator[str]:
            begun.append(number)
            yield "event"

        async with crowd([events(number) for number in range(MANY)]) as clients:
            await asyncio.wait(clients.tasks)
        assert begun == [*range(MANY)]

    run(main)


def test_who_comes_later_waits_for_those_before() -> None:
    async def main() -> None:
        begun: list[str] = []

        async def events(name: str) -> AsyncIterator[str]:
            begun.append(name)
            yield "event"

        firsts = [events("first") for _ in range(MANY)]
        async with crowd(firsts) as first, crowd([events("later")]) as later:
            await asyncio.wait(first.tasks + later.tasks)
        assert begun == ["first"] * MANY + ["later"]

    run(main)


@SOURCES
def test_one_that_is_cancelled_before_its_turn_is_closed(
    source_class: Any, registry: CollectorRegistry
) -> None:
    async def main() -> None:
        before = [source_class(["event"]) for _ in range(PORTION)]
        waiting = [source_class(["event"]) for _ in range(2 * PORTION)]
        async with crowd([*before, *waiting, source_class(["event"])]) as clients:
            cancelled = clients.tasks[PORTION:-1]
            for task in cancelled:
                task.cancel()
            done, _ = await asyncio.wait(clients.tasks)
            assert [task for task in clients.tasks if task.cancelled()] == cancelled
            assert len(done) == len(clients.tasks)
        for source in waiting:
            assert await asyncio.to_thread(source.closed.wait, WAIT)
            assert (source.given, source.closes) == (0, 1)
        assert all(b"data: event" in client.body for client in clients.clients[:PORTION])
        # They have taken nobody's place.
        assert b"data: event" in clients.clients[-1].body

    run(main)


@SOURCES
def test_one_whose_client_leaves_before_its_turn_is_over(source_class: Any) -> None:
    async def main() -> None:
        sources = [source_class([]) for _ in range(MANY)]
        async with crowd(sources) as clients:
            for client in clients.clients:
                client.gone.set()
            await asyncio.wait(clients.tasks)
        for source in sources:
            assert await asyncio.to_thread(source.closed.wait, WAIT)
            assert source.closes == 1

    run(main)


def test_one_that_fails_keeps_nobody_waiting() -> None:
    async def main() -> None:
        failing = [AsyncSource([ValueError("broken")]) for _ in range(MANY - 1)]
        async with crowd([*failing, AsyncSource(["event"])]) as clients:
            results = await asyncio.gather(*clients.tasks, return_exceptions=True)
            assert [type(result) for result in results[:-1]] == [ValueError] * (MANY - 1)
            assert b"data: event" in clients.clients[-1].body

    run(main)


@SOURCES
def test_a_loop_that_is_closed_before_their_turn_keeps_nothing(source_class: Any) -> None:
    """And the next one on the same thread begins as if there had been none."""

    async def come() -> None:
        # Those have their answer at once, and take the turn.
        Crowd([[]] * PORTION, "HEAD")
        # Kept by the loop alone.
        Crowd([source])
        await asyncio.sleep(0)

    source = source_class(["event"])
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    loop.run_until_complete(come())
    loop.close()
    gc.collect()
    assert source.closed.wait(WAIT)
    assert (source.given, source.closes) == (0, 1)

    async def main() -> None:
        async with crowd([AsyncSource(["event"]) for _ in range(MANY)]) as clients:
            await asyncio.wait(clients.tasks)
            assert all(b"data: event" in client.body for client in clients.clients)

    run(main)
