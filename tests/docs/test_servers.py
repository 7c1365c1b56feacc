"""The sources that docs/servers.md shows: their clients leave, and nothing else happens.

With what stands in for Redis, where no message comes.
"""

import asyncio
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest
from combinations import wait_until

from streamkit import StreamingService

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "servers.md").read_text()
SOURCES = [code for code in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "def news()" in code]


class Redis:
    """A client, and its subscription."""

    subscribed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def pubsub(self, *, ignore_subscribe_messages: bool = False) -> "Subscription":
        return Subscription()


class Subscription(Redis):
    def subscribe(self, name: str) -> None:
        Redis.subscribed += 1

    def __exit__(self, *exc_info: object) -> None:
        Redis.subscribed -= 1

    def get_message(self, timeout: float) -> None:
        # As if so many seconds had passed.
        time.sleep(timeout / 100)

    def listen(self) -> Iterator[Any]:
        threading.Event().wait()
        yield


class AsyncRedis:
    """The same, on a loop."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass

    def pubsub(self, *, ignore_subscribe_messages: bool = False) -> "AsyncSubscription":
        return AsyncSubscription()


class AsyncSubscription(AsyncRedis):
    async def subscribe(self, name: str) -> None:
        Redis.subscribed += 1

    async def __aexit__(self, *exc_info: object) -> None:
        Redis.subscribed -= 1

    async def listen(self) -> AsyncIterator[Any]:
        yield {"type": "subscribe"}
        await asyncio.Event().wait()


@pytest.mark.parametrize("code", SOURCES, ids=["async", "sync"])
def test_a_source_that_waits_for_messages_is_closed_when_its_client_leaves(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, redis_asyncio = ModuleType("redis"), ModuleType("redis.asyncio")
    vars(redis).update(Redis=Redis, asyncio=redis_asyncio)
    vars(redis_asyncio).update(Redis=AsyncRedis)
    monkeypatch.setitem(sys.modules, "redis", redis)
    monkeypatch.setitem(sys.modules, "redis.asyncio", redis_asyncio)
    shown: dict[str, Any] = {}
    exec(code, shown)
    chunks: Any = iter(StreamingService.sse("news", shown["news"]()))
    # A heartbeat, or a comment of its own.
    assert next(chunks).startswith(b":")
    wait_until(lambda: Redis.subscribed == 1)
    chunks.close()
    wait_until(lambda: Redis.subscribed == 0)
