"""The page on scale: each example runs, and the figures are those of the code."""

import re
from pathlib import Path
from typing import Any

import pytest
from redis_followers import Follower
from redis_server import RedisServer

from streamkit.channels import ring
from streamkit.channels.engine import SCHEMES, VARIABLE, engine
from streamkit.channels.redis import histories, log, reader

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text()

EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def test_the_examples_run(redis: RedisServer) -> None:
    names: dict[str, Any] = {}
    setup, job = EXAMPLES
    exec(setup.replace("redis://127.0.0.1:6379/0", redis.url), names)
    exec(job, names)
    follower = Follower(engine(), "orders").placed()
    names["finished"](7)
    assert follower.data(1) == [{"id": 7}]
    follower.leave()


def test_the_figures_are_those_of_the_code() -> None:
    assert (ring.MAX_EVENTS, ring.MAX_BYTES, ring.MIN_EVENTS) == (1_000, 4 * 2**20, 16)
    assert log.KEEP_FOR - histories.KEEP_INTERVAL == 3 * 3600
    assert (reader.MIN_DELAY, reader.MAX_DELAY, reader.SILENCE) == (0.1, 5, 10)
    assert reader.SAY_INTERVAL == 60


@pytest.mark.parametrize("name", [VARIABLE, *SCHEMES[:3], log.key_of("").decode()])
def test_the_names_are_those_of_the_code(name: str) -> None:
    assert name in PAGE
