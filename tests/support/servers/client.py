"""A client that reads as much as it is told to, and leaves as it is told to."""

import socket
import ssl
import struct
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from typing import Literal, Self
from urllib.parse import urlencode

__all__ = ["Client", "Ending", "block", "connect", "read_to_end", "target"]

Ending = Literal["broken", "complete", "open"]
"""Of a body: before its end, at its end, or not at all."""


def target(path: str, **query: object) -> str:
    """A request's target. What is None is left out."""
    return f"{path}?{urlencode({k: v for k, v in query.items() if v is not None})}"


def connect(
    address: tuple[str, int], timeout: float, receive_buffer: int | None = None
) -> socket.socket:
    """A new connection, ``receive_buffer`` bytes of which the kernel keeps for its client."""
    connection = socket.socket()
    connection.settimeout(timeout)
    if receive_buffer is not None:
        # It limits the window that is agreed upon when connecting.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


class Client:
    """One HTTP connection, ended by a FIN where its context ends."""

    def __init__(
        self, connection: socket.socket, headers: Mapping[str, str], version: str = "1.1"
    ) -> None:
        self._socket = connection
        self._headers = headers
        self._http = HTTPConnection(*connection.getpeername())
        self._http.sock = connection
        self._http._http_vsn_str = f"HTTP/{version}"  # type: ignore[attr-defined]
        self._http._http_vsn = int(version.replace(".", ""))  # type: ignore[attr-defined]
        self._response: HTTPResponse | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def ask(self, path: str, **query: object) -> None:
        """Send a request."""
        self._http.request("GET", target(path, **query), headers=self._headers)

    def post(self, path: str, body: bytes, **query: object) -> None:
        """Send a request with a body."""
        self._http.request("POST", target(path, **query), body, self._headers)

    def send(self, data: bytes) -> None:
        """Send what need not be a request."""
        self._socket.sendall(data)

    def get(self, path: str, **query: object) -> HTTPResponse:
        """Send a request and read the head of its response."""
        self.ask(path, **query)
        return self.read_head()

    def read_head(self) -> HTTPResponse:
        self._response = self._http.getresponse()
        return self._response

    def wait_at_most(self, seconds: float) -> None:
        """From now on: what takes longer raises TimeoutError."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            # As browsers do: they say goodbye, and do not wait for an answer.
            with suppress(OSError):
                self._socket.setblocking(False)
                self._socket.unwrap()
        if self._response is not None:
            self._response.close()
        self._http.close()
        self._socket.close()

    def reset(self) -> None:
        """Leave with a RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def block(response: HTTPResponse) -> bytes:
    """The next event or comment of an event stream."""
    lines = []
    while line := response.readline():
        lines.append(line)
        if line == b"\n":
            break
    return b"".join(lines)


def read_to_end(response: HTTPResponse) -> tuple[bytes, Ending]:
    """The body, apart from heartbeats, and how it ends."""
    received = bytearray()
    ending: Ending = "complete"
    try:
        while piece := response.read1():
            received += piece
        if response.length:
            ending = "broken"
    except (IncompleteRead, ConnectionResetError):
        ending = "broken"
    except TimeoutError:
        ending = "open"
    # A loaded machine may take so long that there was a heartbeat.
    return bytes(received).replace(b": heartbeat\n\n", b""), ending
