"""Real servers, in processes of their own, and the table of adapters that they serve."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import Any, Self, TypeVar

import msgspec
import psutil
from servers.client import Client, Ending, connect
from servers.state import Account, Letter, State

__all__ = ["HOST", "ROWS", "WAIT", "Row", "Server", "until"]

T = TypeVar("T")

HOST = "127.0.0.1"

TESTS = Path(__file__).parents[1]

WAIT = 20.0
"""Seconds after which a test that waits for something has failed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """An adapter on a server, and what this server cannot do."""

    server: str
    adapter: str
    """Which of the modules in ``servers.apps``."""
    command: str
    """What Python runs, for a ``host``, a ``port`` and an ``app``."""
    is_async: bool = False
    streams: int = 64
    """How many it is to have open at once: one a thread, where it has threads."""
    sources: Sequence[str] = ("sync", "async")
    heartbeats: int = 0
    """How many it takes to find out that the client of a silent stream left.

    None where the server tells, or lets the adapter look at the client.
    """
    failure: Ending = "broken"
    """How it ends a body whose source failed midway."""
    failure_of_http_1_0: Ending = "broken"
    """The same where the end of the connection is the end of the body."""
    sends_before_failure: bool = True
    """Whether all that a source gave before it failed arrives: if not, nor need the head."""
    failure_status: int | None = 500
    """Of a response that fails before its head. None where the connection is just closed."""
    logs_failures: bool = True
    logs_answered_failures: bool = True
    """Also those that the framework has answered by itself."""
    head_rest: bytes = b""
    """What follows the head of a response to HEAD of unknown length."""
    holds_up: bool = True
    """Whether a source waits for a client that does not read."""

    def __str__(self) -> str:
        return f"{self.adapter}-{self.server}"

    @property
    def looks(self) -> bool:
        """Whether the adapter itself looks at the connection, which this server lets it."""
        return self.server.startswith(("gunicorn", "werkzeug", "uwsgi")) and not self.is_async

    @property
    def failure_seconds(self) -> float:
        """How long a client waits for the end of a body whose source failed."""
        return 0.5 if self.failure == "open" else WAIT


def _wsgi(server: str, adapter: str, command: str, **traits: Any) -> Row:
    return Row(server=server, adapter=adapter, command=command, **traits)


def _asgi(server: str, adapter: str, command: str, **traits: Any) -> Row:
    traits = {"streams": 1000, **traits}
    return Row(server=server, adapter=adapter, command=command, is_async=True, **traits)


_WAITRESS = "-m waitress --host {host} --port {port} --threads 64"
_GUNICORN = (
    "-m gunicorn {app} --bind {host}:{port} --log-level warning"
    " --no-control-socket --graceful-timeout 1"
)
_GRANIAN = "-m granian {app} --host {host} --port {port} --log-level warning"
_UVICORN = "-m uvicorn {app} --host {host} --port {port} --log-level warning"

ROWS = [
    _wsgi(
        "waitress",
        "flask",
        f"{_WAITRESS} {{app}}",
        heartbeats=3,
        head_rest=b"0\r\n\r\n",
        failure_of_http_1_0="complete",
    ),
    _wsgi(
        "waitress-lookahead",
        "plain",
        f"{_WAITRESS} --channel-request-lookahead 1 {{app}}",
        failure_of_http_1_0="complete",
        head_rest=b"0\r\n\r\n",
    ),
    _wsgi("gunicorn-sync", "plain", _GUNICORN, streams=1),
    _wsgi("gunicorn-gthread", "django", f"{_GUNICORN} --worker-class gthread --threads 64"),
    _wsgi("gunicorn-gevent", "flask", f"{_GUNICORN} --worker-class gevent", sources=["sync"]),
    _wsgi("werkzeug", "flask", "-m flask --app {app} run --host {host} --port {port}"),
    _wsgi(
        "cheroot",
        "plain",
        "-m cheroot {app} --bind {host}:{port} --threads 64",
        heartbeats=2,
        failure_of_http_1_0="complete",
    ),
    _wsgi(
        "granian-wsgi",
        "django",
        f"{_GRANIAN} --interface wsgi --blocking-threads 64",
        heartbeats=1,
        failure_of_http_1_0="complete",
        sends_before_failure=False,
    ),
    _wsgi(
        "uwsgi",
        "plain",
        "-m servers.uwsgi --http-socket {host}:{port} --wsgi {app} --enable-threads --threads 64"
        " --lazy-apps --need-app --die-on-term --disable-logging --ignore-write-errors"
        " --disable-write-exception --ignore-sigpipe",
        failure_status=None,
    ),
    _asgi("uvicorn-h11", "plain", f"{_UVICORN} --http h11", failure_of_http_1_0="complete"),
    _asgi("uvicorn-httptools", "starlette", f"{_UVICORN} --http httptools"),
    _asgi(
        "hypercorn",
        "plain",
        "-m hypercorn {app} --bind {host}:{port} --log-level warning -w 0",
        failure_of_http_1_0="complete",
    ),
    _asgi(
        "gunicorn-asgi",
        "starlette",
        f"{_GUNICORN} --worker-class asgi",
        logs_answered_failures=False,
        failure_of_http_1_0="complete",
    ),
    _asgi(
        "daphne",
        "django",
        "-m daphne {app} --bind {host} --port {port} --verbosity 0",
        streams=200,
        failure="open",
        failure_of_http_1_0="open",
        logs_failures=False,
        holds_up=False,
    ),
    _asgi("granian-asgi", "plain", f"{_GRANIAN} --interface asgi", failure_of_http_1_0="complete"),
]

COLOUR = re.compile(r"\x1b\[[\d;]*m")

HARMLESS = (
    # From Werkzeug, of itself and of each request.
    "WARNING: This is a development server.",
    " * ",
    "Press CTRL+C to quit",
    # From uWSGI, when it has loaded the application.
    "WSGI app 0 ",
    "mounting ",
    "Python main interpreter",
    "127.0.0.1 - - [",
    "INFO:",
    # From waitress, when a request waits for a thread.
    "WARNING:waitress.queue:Task queue depth is",
    # From streamkit: granian calls its one worker one of several, and gunicorn has sync ones.
    "channels are in the memory of this process",
    "a live stream occupies this worker",
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
        with socket.create_server((HOST, 0)) as free, socket.create_server((HOST, 0)) as other:
            self._address, self._control = free.getsockname(), other.getsockname()
        command = self.row.command.format(
            host=HOST,
            port=self._address[1],
            app=f"servers.apps.{self.row.adapter}:{'asgi' if self.row.is_async else 'wsgi'}_app",
        )
        self._output = TemporaryFile()
        self._expected = 0
        self._process = subprocess.Popen(
            [sys.executable, *command.split(), *self._options.split()],
            env={**self._environment, "TEST_CONTROL": f"{self._control[1]}"},
            # Where there is nothing else to import.
            cwd=TESTS,
            stdout=self._output,
            stderr=self._output,
        )
        try:
            until(self._listens)
        except BaseException:
            self._stop()
            raise
        # What it says of itself.
        self.expect_error("")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop()

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"the server ended:\n{self.errors()}"
        try:
            self.connect().close()
            self.state()
        except ConnectionRefusedError:
            return False
        return True

    def _stop(self) -> None:
        workers: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            workers = psutil.Process(self._process.pid).children(recursive=True)
        self._process.terminate()
        try:
            self._process.wait(WAIT)
            _, alive = psutil.wait_procs(workers, WAIT)
            assert not alive
        finally:
            self._process.kill()
            for worker in workers:
                with suppress(psutil.NoSuchProcess):
                    worker.kill()
            self._process.wait()
            self._output.close()

    def errors(self) -> str:
        """What the server wrote, apart from errors that were expected."""
        # Not read(), as the server writes at the offset of the file.
        written = os.pread(self._output.fileno(), 1 << 24, self._expected)
        # Werkzeug writes in colours, also to a file.
        lines = COLOUR.sub("", written.decode()).splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(HARMLESS))

    def expect_error(self, text: str) -> None:
        """Wait until the server wrote ``text`` ."""
        until(lambda: text in self.errors())
        self._expected = os.fstat(self._output.fileno()).st_size

    @property
    def origin(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A new connection, ``receive_buffer`` bytes of which the kernel keeps for its client."""
        return connect(self._address, WAIT, receive_buffer)

    def client(self, *, receive_buffer: int | None = None, version: str = "1.1") -> Client:
        return Client(self.connect(receive_buffer=receive_buffer), {}, version)

    def get(self, path: str, **query: object) -> bytes:
        """The body of one response."""
        # Hypercorn goes on waiting for another request, even when the client has left.
        with Client(self.connect(), {"Connection": "close"}) as client:
            return client.get(path, **query).read()

    def state(self) -> State:
        return self._ask(None, State)

    def account(self, name: str) -> Account:
        """Of the stream called ``name``; a blank one as long as there is none."""
        return self.state().accounts.get(name, Account())

    def tell(self, name: str, text: str | None) -> None:
        """Have the source of the stream called ``name`` give ``text``, or end if it is None."""
        until(lambda: self._ask(Letter(name, text), bool))

    def _ask(self, letter: Letter | None, answer: type[T]) -> T:
        with socket.create_connection(self._control, WAIT) as connection:
            connection.sendall(msgspec.json.encode(letter) + b"\n")
            with connection.makefile("rb") as file:
                return msgspec.json.decode(file.read(), type=answer)
