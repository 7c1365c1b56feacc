"""Real servers, in processes of their own, and the table of adapters that they serve."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import Self

import msgspec
from servers.client import Client
from servers.state import Account, State

__all__ = ["ROWS", "WAIT", "Row", "Server", "until"]

HOST = "127.0.0.1"

TESTS = Path(__file__).parents[1]

WAIT = 20.0
"""Seconds after which a test that waits for something has failed."""


@dataclass(frozen=True)
class Row:
    """An adapter on a server."""

    adapter: str
    """Which of the applications in ``servers.apps``."""
    server: str
    is_async: bool

    def __str__(self) -> str:
        return f"{self.adapter}-{self.server}"


ROWS = [
    Row("wsgi", "waitress", is_async=False),
    Row("flask", "waitress", is_async=False),
    Row("asgi", "uvicorn-h11", is_async=True),
    Row("asgi", "uvicorn-httptools", is_async=True),
    Row("asgi", "hypercorn", is_async=True),
]

_UVICORN = "uvicorn --host {host} --port {port} --log-level warning"

COMMANDS = {
    "waitress": "waitress --host {host} --port {port} --threads 64",
    "uvicorn-h11": f"{_UVICORN} --http h11",
    "uvicorn-httptools": f"{_UVICORN} --http httptools",
    "hypercorn": "hypercorn --bind {host}:{port} --log-level warning --workers 0",
}

HARMLESS = (
    "INFO:",
    # From waitress, when a request waits for a thread.
    "WARNING:waitress.queue:Task queue depth is",
    # From asyncio, when an application writes before it can know that its client left.
    "socket.send() raised exception.",
)


def until(condition: Callable[[], bool], seconds: float = WAIT) -> None:
    """Ask again and again. Raises AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.005)


class Server:
    """A row of the table, served for as long as the context lasts."""

    def __init__(
        self, row: Row, options: str = "", environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.row = row
        self._options = options
        # What the tests import, the server does.
        path = os.pathsep.join((str(TESTS), *sys.path))
        self._environment = {**os.environ, "PYTHONPATH": path, **environment}

    def __enter__(self) -> Self:
        with socket.create_server((HOST, 0)) as free:
            self._address = free.getsockname()
        command = COMMANDS[self.row.server].format(host=HOST, port=self._address[1])
        self._stderr = TemporaryFile()
        self._expected = 0
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", *command.split(), *self._options.split()),
                f"servers.apps:{self.row.adapter}_app",
            ],
            env=self._environment,
            # Where there is nothing else to import.
            cwd=TESTS,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
        )
        try:
            until(self._listens)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop()

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"the server ended:\n{self.errors()}"
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(WAIT)
        finally:
            self._process.kill()
            self._process.wait()
            self._stderr.close()

    def errors(self) -> str:
        """What the server wrote to its stderr, apart from errors that were expected."""
        # Not read(), as the server writes at the offset of the file.
        written = os.pread(self._stderr.fileno(), 1 << 24, self._expected)
        lines = written.decode().splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(HARMLESS))

    def expect_error(self, text: str) -> None:
        """Wait until the server wrote ``text`` to its stderr."""
        until(lambda: text in self.errors())
        self._expected = os.fstat(self._stderr.fileno()).st_size

    @property
    def origin(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A new connection, ``receive_buffer`` bytes of which the kernel keeps for its client."""
        connection = socket.socket()
        connection.settimeout(WAIT)
        if receive_buffer is not None:
            # It limits the window that is agreed upon when connecting.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect(self._address)
        except OSError:
            connection.close()
            raise
        return connection

    def client(self, *, receive_buffer: int | None = None) -> Client:
        return Client(self.connect(receive_buffer=receive_buffer), {})

    def get(self, path: str, **query: object) -> bytes:
        """The body of one response."""
        # Hypercorn goes on waiting for another request, even when the client has left.
        with Client(self.connect(), {"Connection": "close"}) as client:
            return client.get(path, **query).read()

    def state(self) -> State:
        return msgspec.json.decode(self.get("/state"), type=State)

    def account(self, name: str) -> Account:
        """Of the stream called ``name``; a blank one as long as there is none."""
        return self.state().accounts.get(name, Account())

    def tell(self, name: str, text: str | None) -> None:
        """Have the source of the stream called ``name`` give ``text``, or end if it is None."""
        until(lambda: msgspec.json.decode(self.get("/tell", name=name, text=text))["told"])
