"""Many at the same time: who come back to a process that knows nothing yet, and many channels."""

import asyncio
from typing import Any

import pytest
from redis_followers import Follower, parsed, publish, until
from redis_server import RedisServer

from streamkit import Channel, channels
from streamkit.channels.redis.engine import Redis
from streamkit_adapters.asgi import StreamingService

pytestmark = pytest.mark.usefixtures("patient")

CLIENTS = 500

MISSED = 200


def test_all_who_return_to_a_cold_process_are_replayed_from_one_read(
    redis: RedisServer, process: Redis, name: str
) -> None:
    (begin,) = process.positions([name])
    for number in range(MISSED):
        publish(process, name, number)
    end = f"id: {begin.epoch}-{MISSED}\n\n".encode()
    channels.use(redis.url)

    async def come_back() -> list[bytes]:
        """What each was sent by when it had all that it missed."""
        sent = [b""] * CLIENTS
        waiting = {*range(CLIENTS)}
        all_there = asyncio.Event()

        async def client(place: int) -> None:
            async def send(message: Any) -> None:
                sent[place] += message.get("body", b"")
                if end in sent[place]:
                    waiting.discard(place)
                if not waiting:
                    all_there.set()

            async def receive() -> Any:
                await asyncio.Event().wait()

            headers = [(b"last-event-id", str(begin).encode())]
            scope: Any = {"type": "http", "method": "GET", "path": "/", "query_string": b""}
            scope |= {"headers": headers, "asgi": {}}
            await StreamingService.sse("s", Channel(name))(scope, receive, send)

        tasks = [asyncio.create_task(client(place)) for place in range(CLIENTS)]
        async with asyncio.timeout(60):
            await all_there.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return sent

    before = redis.calls("xrange")
    sent = asyncio.run(come_back())
    assert redis.calls("xrange") - before == 1
    for each in sent:
        assert each.count(b"\nid: ") == MISSED


def test_a_channel_a_user_is_followed_again_when_redis_is_back(
    own_redis: RedisServer, name: str
) -> None:
    """Each command that is asked for once a channel is asked for once a channel."""
    own = Redis(own_redis.url)
    count = 1000
    followers = [Follower(own, f"user:{number}") for number in range(count)]
    for follower in followers:
        follower.placed()
    own_redis.kill()
    until(lambda: not own._reader.is_up)  # type: ignore[union-attr]
    own_redis.start()
    until(lambda: own._reader.is_up)  # type: ignore[union-attr]
    publisher = Redis(own_redis.url)
    last = publish(publisher, f"user:{count - 1}", 1)
    assert followers[-1].data(1) == [1]
    assert parsed(last).number == 1
    # The script is told once for a portion, and no history is read that has begun anew.
    assert own_redis.calls("evalsha") + own_redis.calls("eval") <= count + 100 + 2
    assert own_redis.calls("xrange") == 0
    assert own_redis.calls("subscribe") <= 1 + count // 100
    for engine in (own, publisher):
        engine.close()
    until(lambda: own._reader.has_ended)  # type: ignore[union-attr]
