"""The look at a client's connection, without a server."""

import fcntl
import resource
import select
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamkit.adapting import connection as connections
from streamkit.adapting.connection import ClientLeft, client_of

needs_rdhup = pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="needs POLLRDHUP")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end of a connection, and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        yield server, client


def sees_it_leave(connection: socket.socket) -> bool:
    seen = client_of({"gunicorn.socket": connection}, live=True)
    assert seen is not None
    try:
        return seen.has_left()
    except ClientLeft:
        return True


@pytest.mark.parametrize("by", ["fin", "rst"])
@pytest.mark.parametrize("unread", [b"", pytest.param(b"GET", marks=needs_rdhup)])
def test_a_client_that_leaves_is_seen(
    ends: tuple[socket.socket, socket.socket], unread: bytes, by: str
) -> None:
    server, client = ends
    client.sendall(unread)
    assert not sees_it_leave(server)
    if by == "rst":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert sees_it_leave(server)


def test_without_poll_a_client_is_seen_to_leave_that_has_sent_nothing(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_POLLS", False)
    server, client = ends
    assert not sees_it_leave(server)
    client.close()
    assert sees_it_leave(server)


def test_a_connection_that_its_server_has_closed_has_no_client(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, _ = ends
    seen = client_of({"gunicorn.socket": server}, live=True)
    assert seen is not None
    server.close()
    with pytest.raises(ClientLeft):
        seen.has_left()


def test_a_descriptor_may_be_beyond_what_select_takes(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2048), limits[1]))
    try:
        descriptor = fcntl.fcntl(server.fileno(), fcntl.F_DUPFD_CLOEXEC, 1500)
        with socket.socket(fileno=descriptor) as high:
            assert not sees_it_leave(high)
            client.close()
            assert sees_it_leave(high)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_connection_is_reset_after_all_that_was_written(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """However slowly the client takes it."""
    server, client = ends
    seen = client_of({"gunicorn.socket": server}, live=False)
    assert seen is not None
    written = threading.Event()
    size = 1 << 20

    def fail() -> None:
        server.sendall(bytes(size))
        written.set()
        seen.reset()

    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(fail)
        received = len(client.recv(1))
        written.wait()
        with pytest.raises(ConnectionResetError):
            while piece := client.recv(1 << 14):
                received += len(piece)
        failing.result()
    assert received == size


def test_what_a_server_writes_after_a_reset_reaches_nobody(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    seen = client_of({"werkzeug.socket": server}, live=False)
    assert seen is not None
    seen.reset()
    assert server.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        server.sendall(b"an end")
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_client_that_left_is_not_waited_for(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    seen = client_of({"gunicorn.socket": server}, live=False)
    assert seen is not None
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        while server.send(bytes(1 << 16)):
            pass
    client.shutdown(socket.SHUT_WR)
    seen.reset()


def test_a_connection_that_its_server_has_closed_is_left_alone(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    seen = client_of({"gunicorn.socket": server}, live=False)
    assert seen is not None
    server.close()
    seen.reset()
    assert client.recv(1) == b""
