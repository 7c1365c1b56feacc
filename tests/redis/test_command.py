"""``python -m streamkit publish``."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
from redis_followers import Follower
from redis_server import RedisServer, free_port

from streamkit.channels.redis.engine import Redis


def run(
    *arguments: str, given: str = "", environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamkit", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_an_event_from_a_shell(redis: RedisServer, process: Redis, name: str) -> None:
    follower = Follower(process, name).placed()
    done = run("publish", name, '{"id": 7}', "--event", "created", "--url", redis.url)
    event = follower.event()
    assert (event.data, event.event) == ({"id": 7}, "created")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{event.id}\n", "")


def test_a_line_an_event(redis: RedisServer, process: Redis, name: str) -> None:
    follower = Follower(process, name).placed()
    given = '{"id": 1}\n\n"text"\n[]'
    done = run("publish", name, "-", given=given, environment={"STREAMKIT_CHANNELS": redis.url})
    assert (done.returncode, done.stdout.count("\n")) == (0, 3)
    assert follower.data(3) == [{"id": 1}, "text", []]


def test_each_line_is_published_as_it_comes(redis: RedisServer, process: Redis, name: str) -> None:
    follower = Follower(process, name).placed()
    command = [sys.executable, "-m", "streamkit", "publish", name, "-", "--url", redis.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:
        assert running.stdin is not None
        for number in range(2):
            running.stdin.write(b"%d\n" % number)
            running.stdin.flush()
            assert follower.data(1) == [number]
        running.stdin.close()
        assert running.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (["{"], "", "JSON must be a JSON value"),
        (["null"], "", "JSON must not be null"),
        (["-"], "1\n{\n", "line 2 must be a JSON value"),
        (["1", "--event", "gap"], "", "must not be named 'gap'"),
        (["1", "--url", "http://host"], "", "url must begin with"),
    ],
)
def test_what_cannot_be_published_is_said(
    redis: RedisServer, name: str, arguments: list[str], given: str, said: str
) -> None:
    environment = {"STREAMKIT_CHANNELS": redis.url}
    done = run("publish", name, *arguments, given=given, environment=environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_redis_is_said(name: str) -> None:
    done = run("publish", name, "1", "--url", f"redis://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_memory_is_nowhere_to_publish_to(name: str) -> None:
    done = run("publish", name, "1", environment={"STREAMKIT_CHANNELS": ""})
    assert done.returncode == 2
    assert "--url is needed" in done.stderr
