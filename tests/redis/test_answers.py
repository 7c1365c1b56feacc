"""What is promised of answers in a Redis, and what only they have."""

from collections.abc import Iterator

import pytest
from answers.suite import Suite
from redis_server import RedisServer

from streamkit import channels


@pytest.fixture(autouse=True)
def _in_redis(redis: RedisServer) -> Iterator[None]:
    channels.use(redis.url)
    yield
    channels.use(None)


class TestInRedis(Suite):
    pass
