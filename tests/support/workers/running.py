"""A server with several workers, and clients that come back to whichever takes them."""

import http.client
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import psutil

from streamkit.testing import SSEDecoder

SUPPORT = Path(__file__).parents[1]

PATIENCE = 20.0

STARTS_WITHIN = 120.0
"""Seconds, on a machine with much else to do."""


class Running:
    """``command`` has a ``{port}``, and an ``{app}`` that is ``wsgi_app`` or ``asgi_app``."""

    def __init__(self, command: str, environment: Mapping[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        kind = "wsgi" if "{wsgi}" in command else "asgi"
        app = f"workers.app:{kind}_app"
        self._command = command.format(port=self.port, wsgi=app, asgi=app).split()
        path = os.pathsep.join((str(SUPPORT), *sys.path))
        self._environment = {**os.environ, "PYTHONPATH": path, **environment}

    def __enter__(self) -> Self:
        self._output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self._command],
            env=self._environment,
            stdout=self._output,
            stderr=self._output,
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self) -> None:
        until = time.monotonic() + STARTS_WITHIN
        while True:
            with suppress(OSError, http.client.HTTPException):
                self.get("/")
                return
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < until, self.output()
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        processes = [self.process.pid, *self.workers()]
        self.process.terminate()
        try:
            # Some do not end in good order once a worker of theirs was killed.
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        finally:
            for pid in processes:
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
            self.process.wait()
            self._output.close()

    def output(self) -> str:
        return os.pread(self._output.fileno(), 1 << 24, 0).decode()

    def workers(self) -> list[int]:
        with suppress(psutil.NoSuchProcess):
            return [each.pid for each in psutil.Process(self.process.pid).children(recursive=True)]
        return []

    def get(self, path: str, **query: str) -> str:
        with self.open(path, **query) as response:
            return response.read().decode()

    @contextmanager
    def open(self, path: str, **query: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}", headers={"Connection": "close"})
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()


class Browser(threading.Thread):
    """Reads a channel's stream, and comes back by the last id whenever it ends or breaks off."""

    def __init__(self, port: int, channel: str) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._channel = channel
        self._connection: http.client.HTTPConnection | None = None
        self._has_left = False
        self.last_event_id = ""
        self.process = 0
        self.connected = threading.Event()
        self.events: queue.Queue[Any] = queue.Queue()
        self.start()

    def run(self) -> None:
        while not self._has_left:
            with suppress(OSError, http.client.HTTPException, AttributeError):
                self._read()
            time.sleep(0.05)

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        self._connection = connection
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        try:
            connection.request("GET", f"/live?channel={self._channel}", headers=headers)
            response = connection.getresponse()
            decoder = SSEDecoder()
            while data := response.read1(65536):
                self.process = int(response.headers["X-Process"])
                for event in decoder.feed(data):
                    self.last_event_id = event.last_event_id
                    self.connected.set()
                    if event.type != "subscribed":
                        self.events.put(event)
        finally:
            connection.close()

    def texts(self, count: int) -> list[str]:
        """Of the next events, gaps among them."""
        found: list[str] = []
        while len(found) < count:
            try:
                # A server that ends may never answer: then it comes back after so long.
                event = self.events.get(timeout=2 * PATIENCE)
            except queue.Empty:
                raise AssertionError(
                    f"nothing came after {found}, {self.last_event_id!r}, of process {self.process}"
                ) from None
            found.append(event.data if event.type == "message" else f"{event.type} {event.data}")
        return found

    def leave(self) -> None:
        self._has_left = True
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
