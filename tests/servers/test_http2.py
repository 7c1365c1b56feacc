"""Streams that share one HTTP/2 connection: each has its own pace and its own end."""

import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle, islice, product
from typing import Self

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, ResponseReceived, StreamEnded
from servers.bodies import BODIES, PIECE, Body, with_dropped
from servers.client import target
from servers.harness import ROWS, Server, until

WINDOW = 65_535
"""Bytes that a stream may have on their way to a client that has not yet acknowledged any."""


class Connection:
    """One that was HTTP/2 from its first byte on. Streams are named by their numbers."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._h2.initiate_connection()
        self.heads: dict[int, dict[bytes, bytes]] = {}
        self.received: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.ended: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def vanish(self) -> None:
        """Leave with a RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def get(self, path: str, **query: object) -> int:
        return self._ask("GET", path, query)

    def head(self, path: str, **query: object) -> int:
        return self._ask("HEAD", path, query)

    def _ask(self, method: str, path: str, query: Mapping[str, object]) -> int:
        stream = self._h2.get_next_available_stream_id()
        headers = {
            ":method": method,
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
                if isinstance(event, ResponseReceived):
                    self.heads[event.stream_id] = dict(event.headers)
                elif isinstance(event, DataReceived):
                    self.received[event.stream_id] += event.data
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                elif isinstance(event, StreamEnded):
                    self.ended.add(event.stream_id)
            self._send()

    def read(self, stream: int) -> bytes:
        """All of it."""
        self.read_until(lambda: stream in self.ended)
        return bytes(self.received[stream])

    def _send(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


(ROW,) = (row for row in ROWS if row.server == "hypercorn")


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    with Server(ROW) as server:
        yield server


@pytest.fixture(scope="module")
def running_beating_server() -> Iterator[Server]:
    with Server(ROW, environment={"TEST_HEARTBEAT": "0.1"}) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    with Connection(server.connect()) as connection:
        yield connection


def test_fifty_streams_at_once_are_whole(server: Server, connection: Connection, name: str) -> None:
    streams = {}
    for n, (body, source) in enumerate(islice(cycle(product(BODIES, server.row.sources)), 50)):
        query = {"name": f"{name}-{n}", "source": source, "count": 300, **body.query}
        streams[connection.get(body.path, **query)] = body
    connection.read_until(lambda: connection.ended == streams.keys())
    for stream, body in streams.items():
        received = bytes(connection.received[stream])
        if body.path == "/sse":
            received = with_dropped(received)
        assert received == body.whole(300)


def test_head_has_the_headers_of_get_and_does_not_start_the_source(
    server: Server, connection: Connection, body: Body, source: str, name: str
) -> None:
    query = {"source": source, "count": 1, **body.query}
    asked = connection.head(body.path, name=name, **query)
    whole = connection.get(body.path, name=f"{name}-get", **query)
    assert connection.read(asked) == b""
    connection.read(whole)
    for head in connection.heads.values():
        del head[b"date"]
    assert connection.heads[asked] == connection.heads[whole]
    until(lambda: server.account(name).closed == 1)
    assert server.account(name).begun == 0


def test_an_idle_stream_delivers_each_event_at_once(
    server: Server, connection: Connection, source: str, name: str
) -> None:
    asked = connection.get("/letters", name=name, source=source)
    for text in ("one", "two", "three"):
        server.tell(name, text)
        event = f"data: {text}\n\n".encode()
        connection.read_until(lambda: connection.received[asked].endswith(event))  # noqa: B023
    server.tell(name, None)
    connection.read(asked)


def test_a_silent_stream_has_heartbeats(beating_server: Server, source: str, name: str) -> None:
    with Connection(beating_server.connect()) as connection:
        asked = connection.get("/letters", name=name, source=source)
        connection.read_until(lambda: connection.received[asked] == 3 * b": heartbeat\n\n")
        beating_server.tell(name, None)
        connection.read(asked)


def test_a_stream_whose_source_fails_does_not_end(
    server: Server, connection: Connection, body: Body, source: str, name: str
) -> None:
    """This server leaves it open, until the connection has had no other for five seconds."""
    failing = connection.get(body.path, name=name, source=source, count=10, fails=1, **body.query)
    server.expect_error("RuntimeError: the source failed")
    until(lambda: server.account(name).closed == 1)
    connection.read(connection.get("/sse", name=f"{name}-after", source=source, count=1))
    assert failing not in connection.ended
    received, parts = bytes(connection.received[failing]), body.parts(10)
    assert parts.startswith(received)
    # The client may not have made room for more when the source failed.
    assert len(received) >= min(len(parts), WINDOW)


def test_a_stream_that_its_client_resets_closes_its_source(
    server: Server, connection: Connection, body: Body, source: str, name: str
) -> None:
    busy = connection.get(body.path, name=name, source=source, **body.query)
    connection.read_until(lambda: len(connection.received[busy]) > PIECE)
    connection.reset(busy)
    until(lambda: server.account(name).closed == 1)
    connection.read(connection.get("/sse", name=f"{name}-after", source=source, count=1))


@pytest.mark.parametrize("leave", [Connection.close, Connection.vanish], ids=["fin", "rst"])
def test_a_connection_that_its_client_leaves_closes_all_its_sources(
    server: Server,
    connection: Connection,
    source: str,
    name: str,
    leave: Callable[[Connection], None],
) -> None:
    busy = connection.get("/sse", name=f"{name}-busy", source=source)
    connection.get("/letters", name=name, source=source)
    connection.read_until(lambda: len(connection.received[busy]) > PIECE)
    until(lambda: server.account(name).begun == 1)
    leave(connection)
    until(lambda: server.account(f"{name}-busy").closed == 1)
    until(lambda: server.account(name).told is not None)
    if source == "sync":
        server.tell(name, "too late")
    until(lambda: server.account(name).closed == 1)


def test_a_client_whose_window_is_full_holds_no_source_up(
    server: Server, connection: Connection, source: str, name: str
) -> None:
    """This server keeps all that the client does not take."""
    stuck = connection.get("/download", name=name, source=source)
    # Past the buffer, which holds 64 of them.
    until(lambda: server.account(name).given > 300)
    connection.reset(stuck)
    until(lambda: server.account(name).closed == 1)
