"""Channels of several processes in one: each engine has a reader and connections of its own."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from redis_followers import until
from redis_server import RedisServer, redis_server

from streamkit import channels, log
from streamkit.channels.redis import link, server
from streamkit.channels.redis.engine import Redis
from streamkit.channels.redis.log import SCRIPT

_names = count()


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    """A server that is as good as new, and stays so."""
    running_redis.ask("FLUSHALL")
    # It is known to a server from its first use on, which is none of a test's.
    running_redis.ask("SCRIPT", "LOAD", SCRIPT)
    return running_redis


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that may be killed."""
    with redis_server() as running:
        yield running


@pytest.fixture
def processes() -> Iterator[Callable[[str], Redis]]:
    """Makes the channels of one more process, by a URL."""
    engines: list[Redis] = []

    def process(url: str) -> Redis:
        engines.append(Redis(url))
        return engines[-1]

    yield process
    for engine in engines:
        engine.close()
    until(lambda: all(engine._reader is None or engine._reader.has_ended for engine in engines))


@pytest.fixture
def process(redis: RedisServer, processes: Callable[[str], Redis]) -> Redis:
    return processes(redis.url)


@pytest.fixture
def other(redis: RedisServer, processes: Callable[[str], Redis]) -> Redis:
    return processes(redis.url)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is slow to answer, as the machine is busy, is none that is away."""
    for module in (server, link):
        monkeypatch.setattr(module, "PATIENCE", 10.0)


@pytest.fixture
def name() -> str:
    return f"channel-{next(_names)}"


@pytest.fixture(autouse=True)
def _nothing_said_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log, "_said", set())
    yield
    channels.use(None)
