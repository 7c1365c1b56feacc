"""Servers with several worker processes: forked before and after use, spawned, killed, replaced."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis_followers import publish, until
from redis_server import RedisServer
from workers.running import Browser, Running

from streamkit.channels.redis.engine import Redis

GUNICORN = "gunicorn {app} --bind 127.0.0.1:{{port}} -w 2 --no-control-socket --graceful-timeout 2"
WSGI, ASGI = GUNICORN.format(app="{wsgi}"), GUNICORN.format(app="{asgi}")

SERVERS = {
    "uvicorn": "uvicorn {asgi} --port {port} --workers 2 --timeout-graceful-shutdown 2",
    "gunicorn-gthread": f"{WSGI} -k gthread --threads 32",
    "gunicorn-gevent": f"{WSGI} -k gevent",
    "gunicorn-asgi": f"{ASGI} -k asgi",
    "granian-asgi": "granian {asgi} --interface asgi --port {port} --workers 2"
    " --respawn-failed-workers",
    "granian-wsgi": "granian {wsgi} --interface wsgi --port {port} --workers 2"
    " --blocking-threads 32 --respawn-failed-workers",
    "hypercorn": "hypercorn {asgi} --bind 127.0.0.1:{port} -w 2",
}
SERVERS |= {
    f"{name}-preload": f"{SERVERS[name]} --preload"
    for name in ("gunicorn-gthread", "gunicorn-gevent", "gunicorn-asgi")
}

CLIENTS = 12

ENDS_AS_A_WHOLE = {"hypercorn"}
"""Servers that end when one of their workers is killed."""


@contextmanager
def browsers(server: Running, channel: str) -> Iterator[list[Browser]]:
    """Some clients, of each worker at least one."""
    clients = [Browser(server.port, channel) for _ in range(CLIENTS)]
    try:
        for client in clients:
            assert client.connected.wait(60), server.output()
        end = time.monotonic() + 60
        while len({client.process for client in clients}) < 2:
            assert time.monotonic() < end, "one worker took all clients"
            clients.append(Browser(server.port, channel))
            assert clients[-1].connected.wait(60), server.output()
        yield clients
    finally:
        for client in clients:
            client.leave()
        for client in clients:
            client.join(60)


@pytest.mark.parametrize("command", SERVERS.values(), ids=[*SERVERS])
def test_all_workers_are_one(redis: RedisServer, process: Redis, name: str, command: str) -> None:
    environment = {"STREAMKIT_CHANNELS": redis.url}
    if "preload" in command:
        environment["USED_BEFORE"] = "1"
    with Running(command, environment) as server, browsers(server, name) as clients:
        expected = []
        for number in range(20):
            expected += [f"worker {number}", f"another process {number}"]
            server.get("/publish", channel=name, text=f"worker {number}")
            publish(process, name, f"another process {number}")
        for client in clients:
            assert client.texts(40) == expected
        if command.partition(" ")[0] in ENDS_AS_A_WHOLE:
            return
        # One worker is gone, and its clients come back to the other, or to its successor.
        os.kill(clients[0].process, signal.SIGKILL)
        publish(process, name, "meanwhile")
        for client in clients:
            assert client.texts(1) == ["meanwhile"]
        publish(process, name, "after")
        for client in clients:
            assert client.texts(1) == ["after"]
        assert "Traceback" not in server.output()


def test_workers_that_are_replaced(redis: RedisServer, process: Redis, name: str) -> None:
    environment = {"STREAMKIT_CHANNELS": redis.url}
    command = SERVERS["gunicorn-gthread"]
    with Running(command, environment) as server, browsers(server, name) as clients:
        for number in range(2):
            before = {*server.workers()}
            server.process.send_signal(signal.SIGHUP)
            publish(process, name, f"{number}")
            until(lambda before=before: not before & {*server.workers()})  # type: ignore[misc]
        for client in clients:
            assert client.texts(2) == ["0", "1"]


def test_a_worker_has_two_connections_however_many_clients(redis: RedisServer, name: str) -> None:
    before = redis.connections()
    environment = {"STREAMKIT_CHANNELS": redis.url}
    with Running(SERVERS["uvicorn"], environment) as server, browsers(server, name):
        assert redis.connections() - before == 4
