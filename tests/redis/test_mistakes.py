"""Mistakes in an address, or in what Redis lets one do: each is told, nothing hangs or floods."""

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis_followers import Follower, publish, until
from redis_server import RedisServer

from streamkit import channels
from streamkit.channels.frame import frame_of
from streamkit.channels.redis import histories
from streamkit.channels.redis import reader as readers
from streamkit.channels.redis.engine import Redis
from streamkit.channels.redis.log import SCRIPT, key_of

Processes = Callable[[str], Redis]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text()


def refused(engine: Redis, name: str, words: str) -> None:
    """On a thread and on a loop, by Python's own error."""
    with pytest.raises(ConnectionError, match=words):
        publish(engine, name, "never")
    with pytest.raises(ConnectionError, match=words):
        asyncio.run(engine.apublish(name, frame_of("never")))


def told(engine: Redis, caplog: pytest.LogCaptureFixture, words: str) -> None:
    """The log says what is wrong, once, however often it is tried again."""
    follower = Follower(engine, "any")
    records = caplog.records
    until(lambda: [each for each in records if "Redis is away" in each.getMessage()])
    with pytest.raises(AssertionError, match="nothing came"):
        follower.wait(follower.listener.place, 1)
    (record,) = (each for each in records if each.levelno >= logging.WARNING)
    assert words in record.getMessage()
    assert "\n" not in record.getMessage()
    assert ".." not in record.getMessage()
    follower.leave()


USERS = {
    "no such password": ("shop:wr0ng", "+@all ~* &*", "invalid username-password pair"),
    "may not run scripts": ("shop:s3cret", "+@all -eval -evalsha ~* &*", "evalsha"),
    "may not write keys": ("shop:s3cret", "+@all ~other:* &*", "permissions to access"),
}


@pytest.mark.parametrize(("user", "rights", "words"), USERS.values(), ids=[*USERS])
def test_a_user_without_the_rights(
    redis: RedisServer,
    processes: Processes,
    name: str,
    user: str,
    rights: str,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    redis.ask("ACL", "SETUSER", "shop", "reset", "on", ">s3cret", *rights.split())
    process = processes(redis.url.replace("//", f"//{user}@"))
    refused(process, name, words)
    told(process, caplog, words)
    assert "wr0ng" not in caplog.text


def test_a_user_with_no_more_rights_than_the_page_says(
    redis: RedisServer, processes: Processes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "KEEP_INTERVAL", 0.0)
    monkeypatch.setattr(histories.HistoryReader, "chores_interval", 0.05)
    monkeypatch.setattr(readers, "SILENCE", 0.1)
    (rights,) = re.findall(r"ACL SETUSER shop on >s3cret (.*)", PAGE)
    redis.ask("ACL", "SETUSER", "shop", "reset", "on", ">s3cret", *rights.split())
    process = processes(redis.url.replace("//", "//shop:s3cret@"))
    follower, left = Follower(process, name).placed(), Follower(process, "left").placed()
    left.leave()
    publish(process, name, 1)
    asyncio.run(process.apublish(name, frame_of(2)))
    assert follower.data(2) == [1, 2]
    redis.ask("EXPIRE", key_of(name), 500)
    until(lambda: redis.ask("TTL", key_of(name)) > 500)
    assert process._reader is not None
    heard_at = process._reader._heard_at
    until(lambda: process._reader._heard_at > heard_at)  # type: ignore[union-attr]
    assert process._reader.is_up


NO_MESSAGES = ("+@all", "-publish", "~*", "&*")


def test_a_user_who_may_not_publish_messages(
    redis: RedisServer, processes: Processes, name: str
) -> None:
    """What it published is there all the same: an error says that nobody knows."""
    redis.ask("ACL", "SETUSER", "shop", "reset", "on", ">s3cret", *NO_MESSAGES)
    process = processes(redis.url.replace("//", "//shop:s3cret@"))
    follower = Follower(processes(redis.url), name).placed()
    refused(process, name, "publish|this command")
    assert redis.ask("XLEN", key_of(name)) == 3
    publish(processes(redis.url), name, "heard")
    assert follower.data(3) == ["never", "never", "heard"]


def test_a_server_that_forgot_the_script(
    redis: RedisServer, process: Redis, other: Redis, name: str
) -> None:
    """A command of its own that loads it is not needed, and may be forbidden."""
    redis.ask("ACL", "SETUSER", "default", "-script")
    try:
        follower = Follower(other, name).placed()
        publish(process, name, 1)
    finally:
        redis.ask("ACL", "SETUSER", "default", "+script")
    redis.ask("SCRIPT", "FLUSH")
    late = Follower(other, "late").placed()
    publish(process, name, 2)
    publish(process, "late", 3)
    assert follower.data(2) == [1, 2]
    assert late.data(1) == [3]
    redis.ask("SCRIPT", "LOAD", SCRIPT)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://127.0.0.1:{port}/99", "DB index is out of range"),
        ("redis://127.0.0.1:1/0", "connecting to 127.0.0.1:1"),
        ("redis://" + "a" * 70 + ":{port}/0", "label"),
        ("unix:///nowhere/redis.sock", "No such file"),
        ("rediss://127.0.0.1:{port}?ssl_ca_certs=/nowhere/ca.pem", "Redis"),
    ],
)
def test_an_address_where_there_is_none(
    redis: RedisServer,
    processes: Processes,
    name: str,
    url: str,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = processes(url.format(port=redis.port))
    refused(process, name, words)
    told(process, caplog, words)


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1/0?colour=red", "rediss://127.0.0.1/0?ssl_cert_reqs=maybe"],
)
def test_what_redis_py_does_not_take_is_refused_at_the_call(url: str) -> None:
    with pytest.raises(ValueError, match="url must be one of a Redis: .*(colour|maybe)"):
        channels.use(url)


def test_what_redis_py_takes_does_not_change_how_it_is_used(
    redis: RedisServer, processes: Processes, name: str
) -> None:
    options = "protocol=3&decode_responses=True&socket_timeout=0.001&health_check_interval=1"
    process = processes(f"{redis.url}?{options}&client_name=shop&max_connections=1")
    followers = [Follower(process, name).placed() for _ in range(3)]
    publish(process, name, {"é": 1})
    asyncio.run(process.apublish(name, frame_of("é")))
    for follower in followers:
        assert follower.data(2) == [{"é": 1}, "é"]
    with redis.client() as client:
        assert [each["name"] for each in client.client_list()].count("shop") >= 2


ANSWERS = {
    "of a cluster": (b"-MOVED 3999 127.0.0.1:6381\r\n", "one of a cluster"),
    "that is loading": (b"-LOADING Redis is loading the dataset in memory\r\n", "loading"),
    "that is none of Redis": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error"),
    "that says something else": (b"+OK\r\n", "Redis"),
    "that says nothing": (b"$-1\r\n", "Redis"),
}


@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=[*ANSWERS])
def test_a_server(
    processes: Processes, name: str, answer: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(answer) as url:
        process = processes(url)
        refused(process, name, words)
        told(process, caplog, words)


COMMAND = re.compile(rb"\*\d+\r\n")
"""How one begins."""


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says the same whatever it is asked."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer_on, args=(listening.accept()[0],)).start()

    def answer_on(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while asked := connection.recv(65536):
                connection.sendall(answer * len(COMMAND.findall(asked)))

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()
