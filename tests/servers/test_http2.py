"""Streams that share one HTTP/2 connection: each has its own pace and its own end."""

import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Self

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, StreamEnded
from servers.bodies import BODIES, PIECE, Body
from servers.client import target
from servers.harness import ROWS, Server, until


class Connection:
    """One that was HTTP/2 from its first byte on. Streams are named by their numbers."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._h2.initiate_connection()
        self.received: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.ended: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def get(self, path: str, **query: object) -> int:
        stream = self._h2.get_next_available_stream_id()
        headers = {
            ":method": "GET",
            ":path": target(path, **query),
            ":scheme": "http",
            ":authority": "localhost",
        }
        self._h2.send_headers(stream, list(headers.items()), end_stream=True)
        self._send()
        return stream

    def reset(self, stream: int) -> None:
        self._h2.reset_stream(stream, ErrorCodes.CANCEL)
        self._send()

    def read_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            data = self._socket.recv(PIECE)
            assert data, "the server closed the connection"
            for event in self._h2.receive_data(data):
                if isinstance(event, DataReceived):
                    self.received[event.stream_id] += event.data
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                elif isinstance(event, StreamEnded):
                    self.ended.add(event.stream_id)
            self._send()

    def _send(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    (row,) = (row for row in ROWS if row.server == "hypercorn")
    with Server(row) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    with Connection(server.connect()) as connection:
        yield connection


def test_all_kinds_at_once(server: Server, connection: Connection, source: str, name: str) -> None:
    query = {"source": source, "count": 300}
    asked = [
        connection.get(body.path, name=f"{name}-{body}", **query, **body.query) for body in BODIES
    ]
    connection.read_until(lambda: connection.ended == set(asked))
    for stream, body in zip(asked, BODIES, strict=True):
        assert bytes(connection.received[stream]) == body.whole(300)


def test_a_stream_whose_source_fails_does_not_end(
    server: Server, connection: Connection, body: Body, source: str, name: str
) -> None:
    """This server leaves it open, until the connection has had no other for five seconds."""
    failing = connection.get(body.path, name=name, source=source, count=10, fails=1, **body.query)
    server.expect_error("RuntimeError: the source failed")
    until(lambda: server.account(name).closed == 1)
    after = connection.get("/sse", name=f"{name}-after", source=source, count=1)
    connection.read_until(lambda: after in connection.ended)
    assert failing not in connection.ended
    assert body.parts(10).startswith(connection.received[failing])


def test_a_stream_that_its_client_resets_closes_its_source(
    server: Server, connection: Connection, body: Body, source: str, name: str
) -> None:
    busy = connection.get(body.path, name=name, source=source, **body.query)
    connection.read_until(lambda: len(connection.received[busy]) > PIECE)
    connection.reset(busy)
    until(lambda: server.account(name).closed == 1)
    after = connection.get("/sse", name=f"{name}-after", source=source, count=1)
    connection.read_until(lambda: after in connection.ended)
