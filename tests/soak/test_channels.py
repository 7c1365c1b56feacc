"""A Redis that is killed and comes back, while several processes publish and several serve."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from redis_server import redis_server
from workers.running import Running

from streamkit import Channel, channels
from streamkit.channels.frame import frame_of
from streamkit.channels.position import Position, positions
from streamkit.channels.redis.engine import Redis
from streamkit.testing import SSEDecoder

SERVERS = [
    "uvicorn {asgi} --port {port} --workers 2 --timeout-worker-healthcheck 60",
    "gunicorn {wsgi} --bind 127.0.0.1:{port} -k gthread --threads 120 --no-control-socket",
]

EACH = 100
"""Subscribers of each process."""

PROCESSES = 3
PUBLISHERS = 3

KILLED = 3
"""How often."""

EVENTS = 50
"""How many everybody has before, in between and afterwards."""


class Subscriber:
    """Numbers go up by one from event to event, or a gap says by how many."""

    def __init__(self, returns_to: Position | None = None) -> None:
        self.begun = self.position = returns_to
        self.received: set[str] = set()
        self.gaps: list[int | None] = []

    async def read(self, port: int, name: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        returns_to = f"Last-Event-ID: {self.position}\r\n" if self.position else ""
        try:
            writer.write(
                f"GET /live?channel={name} HTTP/1.1\r\nHost: localhost\r\n"
                f"Accept: text/event-stream\r\nCache-Control: no-cache\r\n{returns_to}\r\n".encode()
            )
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            decoder = SSEDecoder()
            while size := int(await reader.readline(), 16):
                for event in decoder.feed((await reader.readexactly(size + 2))[:-2]):
                    self._take(event)
            raise AssertionError("the stream has ended")
        finally:
            writer.close()
            await writer.wait_closed()

    def _take(self, event: Any) -> None:
        found, before = positions(event.last_event_id, 1), self.position
        assert found is not None
        (position,) = found
        if event.type == "subscribed":
            assert before is None
            self.begun = position
        elif event.type == "gap":
            missed = json.loads(event.data)["missed"]
            self.gaps.append(missed)
            assert before is not None
            if missed is None:
                assert position.epoch > before.epoch
            else:
                assert position == (before.epoch, before.number + missed)
        else:
            assert before is not None
            assert position == (before.epoch, before.number + 1)
            self.received.add(event.last_event_id)
        self.position = position


async def until(condition: Callable[[], bool], tasks: list["asyncio.Task[None]"]) -> None:
    """While all of ``tasks`` go on."""
    async with asyncio.timeout(60):
        while not condition():
            for task in tasks:
                assert not task.done() or task.result()
            await asyncio.sleep(0.05)


async def cancelled(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)


def publisher(url: str, name: str) -> "subprocess.Popen[str]":
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-m", "publishers.crowd", name],
        env={**os.environ, "PYTHONPATH": path, "STREAMKIT_CHANNELS": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("options", [("--appendonly", "yes", "--appendfsync", "always"), ()])
def test_a_redis_that_is_killed_under_load(options: tuple[str, ...]) -> None:
    name = "soak"
    with redis_server(*options) as redis, ExitStack() as stack:
        servers = [
            stack.enter_context(Running(command, {"STREAMKIT_CHANNELS": redis.url}))
            for command in SERVERS
        ]

        async def main() -> tuple[list[Subscriber], list[Any]]:
            subscribers = [Subscriber() for _ in range(EACH * PROCESSES)]
            tasks = [
                asyncio.create_task(subscriber.read(servers[number % PROCESSES == 0].port, name))
                for number, subscriber in enumerate(subscribers)
            ]

            def have_more() -> Callable[[], bool]:
                aims = [len(each.received) + EVENTS for each in subscribers]
                return lambda: all(
                    len(each.received) > aim for each, aim in zip(subscribers, aims, strict=True)
                )

            await until(lambda: all(each.begun for each in subscribers), tasks)
            assert redis.connections() == 2 * PROCESSES
            publishers = [publisher(redis.url, name) for _ in range(PUBLISHERS)]
            try:
                await until(have_more(), tasks)
                for _ in range(KILLED):
                    redis.kill()
                    await asyncio.sleep(2)
                    await asyncio.to_thread(redis.start)
                    await until(have_more(), tasks)
                told = []
                for each in publishers:
                    output, _ = await asyncio.to_thread(each.communicate, "", timeout=30)
                    told.append(json.loads(output))
            finally:
                for each in publishers:
                    each.kill()
                    each.wait()
            channels.use(redis.url)
            last = await Channel(name).apublish("last")
            await until(lambda: all(last in each.received for each in subscribers), tasks)
            await cancelled(tasks)
            return subscribers, told

        try:
            subscribers, told = asyncio.run(main())
        finally:
            channels.use(None)
        published = {event_id for each in told for event_id in each["published"]}
        figures = {
            "published": len(published),
            "refused": sum(each["refused"] for each in told),
            "longest publish": max(each["longest"] for each in told),
            "received by each": len(subscribers[0].received),
            "gaps": Counter(
                "all" if gap is None else "some" for each in subscribers for gap in each.gaps
            ),
        }
        print(figures)
        assert len(published) == sum(len(each["published"]) for each in told)
        assert figures["refused"] > 0
        # A machine that is busy with others is no fault.
        assert figures["longest publish"] < 3
        for each in told:
            assert each["threads"] == ["MainThread"]
        for subscriber in subscribers:
            # Once for each time that its data was lost. Any other gap is one of who was slow.
            assert subscriber.gaps.count(None) == (0 if options else KILLED)
            if not subscriber.gaps:
                assert published <= subscriber.received
        end = time.monotonic() + 30
        while redis.connections() > 2 * PROCESSES:
            assert time.monotonic() < end
            time.sleep(0.1)


RETURNING = 2000

MISSED = 200


def test_all_who_return_at_once_to_a_cold_process_are_replayed_from_one_read() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * RETURNING + 100)), hard))
    with redis_server() as redis:
        process = Redis(redis.url)
        (begin,) = process.positions(["cold"])
        for number in range(MISSED):
            process.publish("cold", frame_of(number))
        process.close()

        async def come_back() -> None:
            clients = [Subscriber(begin) for _ in range(RETURNING)]
            tasks = [asyncio.create_task(each.read(server.port, "cold")) for each in clients]
            await until(lambda: all(len(each.received) == MISSED for each in clients), tasks)
            await cancelled(tasks)

        environment = {"STREAMKIT_CHANNELS": redis.url}
        with Running("uvicorn {asgi} --port {port} --backlog 4096", environment) as server:
            before = redis.calls("xrange")
            begun = time.monotonic()
            asyncio.run(come_back())
            print(f"{RETURNING} replayed in {time.monotonic() - begun:.1f} s")
            assert redis.calls("xrange") - before == 1
