"""Servers with several worker processes: forked before and after use, spawned, killed, replaced."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from combinations import wait_until
from redis_followers import publish
from redis_server import RedisServer
from workers.running import STARTS_WITHIN, Browser, Running

from streamkit import Resumable, SourceFailed, StreamingService, channels
from streamkit.channels.redis.engine import Redis

pytestmark = pytest.mark.usefixtures("patient")

GUNICORN = "gunicorn {app} --bind 127.0.0.1:{{port}} -w 2 --no-control-socket --graceful-timeout 2"
WSGI, ASGI = GUNICORN.format(app="{wsgi}"), GUNICORN.format(app="{asgi}")

GRANIAN = (
    "granian --port {port} --workers 2 --respawn-failed-workers --respawn-interval 0.1"
    " --workers-kill-timeout 2"
)

SERVERS = {
    "uvicorn": "uvicorn {asgi} --port {port} --workers 2 --timeout-graceful-shutdown 2"
    # It gives up on workers that take longer to start.
    " --timeout-worker-healthcheck 60",
    "gunicorn-gthread": f"{WSGI} -k gthread --threads 64",
    "gunicorn-gevent": f"{WSGI} -k gevent",
    "gunicorn-asgi": f"{ASGI} -k asgi",
    "uvicorn-worker": f"{ASGI} -k uvicorn_worker.UvicornWorker",
    "granian-asgi": f"{GRANIAN} --interface asgi {{asgi}}",
    "granian-wsgi": f"{GRANIAN} --interface wsgi --blocking-threads 64 {{wsgi}}",
    "hypercorn": "hypercorn {asgi} --bind 127.0.0.1:{port} -w 2",
}
SERVERS |= {
    f"{name}-preload": f"{command} --preload"
    for name, command in SERVERS.items()
    if command.startswith("gunicorn")
}

CLIENTS = 12

ENDS_AS_A_WHOLE = {"hypercorn"}
"""Servers that end when one of their workers is killed, and do so at SIGHUP."""


@contextmanager
def browsers(server: Running, channel: str, processes: int = 2) -> Iterator[list[Browser]]:
    """Some clients, of each worker at least one."""
    end = time.monotonic() + STARTS_WITHIN
    ready: set[str] = set()
    # Or one that has its threads alone would take more clients than it has threads.
    while len(ready) < processes:
        assert time.monotonic() < end, server.output()
        ready.add(server.get("/"))
    clients = [Browser(server.port, channel) for _ in range(CLIENTS)]
    try:
        for client in clients:
            assert client.connected.wait(60), server.output()
        while len({client.process for client in clients}) < processes:
            assert time.monotonic() < end, "one worker took all clients"
            clients.append(Browser(server.port, channel))
            assert clients[-1].connected.wait(60), server.output()
        yield clients
    finally:
        for client in clients:
            client.leave()
        for client in clients:
            client.join(60)


def until_elsewhere(clients: list[Browser], before: set[int], server: Running) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while before & {client.process for client in clients}:
        assert time.monotonic() < end, server.output()
        time.sleep(0.02)


@pytest.mark.parametrize("command", SERVERS.values(), ids=[*SERVERS])
def test_all_workers_are_one(redis: RedisServer, process: Redis, name: str, command: str) -> None:
    environment = {"STREAMKIT_CHANNELS": redis.url}
    if "preload" in command:
        environment["USED_BEFORE"] = "1"
    before = redis.connections()
    with Running(command, environment) as server, browsers(server, name) as clients:
        # Two a worker, however many clients; and who used it before it forked has its own. One that
        # was lost or is being made anew is a connection more until Redis has seen its end.
        used_before = 3 if "preload" in command else 0
        wait_until(lambda: redis.connections() - before - used_before == 4)
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
        # All are replaced by new ones.
        # Also one that has just come, and that nobody is with yet.
        old = {*server.workers()}
        server.process.send_signal(signal.SIGHUP)
        publish(process, name, "while they are replaced")
        until_elsewhere(clients, old, server)
        publish(process, name, "after")
        for client in clients:
            assert client.texts(2) == ["while they are replaced", "after"]
        assert "Traceback" not in server.output()


def test_a_reload_in_development(
    redis: RedisServer, process: Redis, name: str, tmp_path: Path
) -> None:
    source = tmp_path / "source.py"
    source.touch()
    command = f"uvicorn {{asgi}} --port {{port}} --reload --reload-dir {tmp_path}"
    environment = {"STREAMKIT_CHANNELS": redis.url}
    with Running(command, environment) as server, browsers(server, name, 1) as clients:
        before = {client.process for client in clients}
        os.utime(source, (time.time(), source.stat().st_mtime + 10))
        publish(process, name, "while it is reloaded")
        until_elsewhere(clients, before, server)
        publish(process, name, "after")
        for client in clients:
            assert client.texts(2) == ["while it is reloaded", "after"]


ONE_WORKER = {
    # Where there are more, hypercorn kills the others when the first has ended.
    name: command.replace("-w 2", "-w 1")
    for name, command in SERVERS.items()
    if "preload" not in command
}


@pytest.mark.parametrize("command", ONE_WORKER.values(), ids=[*ONE_WORKER])
def test_an_answer_fails_with_the_server_that_makes_it(
    redis: RedisServer, name: str, command: str
) -> None:
    """Who follows elsewhere is told at once, and not of an interruption when its lease runs out."""
    with Running(command, {"STREAMKIT_CHANNELS": redis.url}) as server:
        with server.open("/answer", key=name) as response:
            assert response.readline() == b"data: 0\n"
        channels.use(redis.url)
        chunks = iter(StreamingService.sse("answer", Resumable("workers").follow(name)))
        body = next(chunks)
        server.process.terminate()
        with pytest.raises(SourceFailed):
            for chunk in chunks:
                body += chunk
        assert body.count(b"event: error") == 1
        server.process.wait(30)
        assert server.output().count("closed\n") == 1
        assert "Traceback" not in server.output()
