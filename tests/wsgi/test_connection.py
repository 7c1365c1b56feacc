"""The look at a client's connection, without a server."""

import errno
import fcntl
import os
import resource
import select
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from combinations import wait_until

from streamkit.adapting import connection as connections
from streamkit.adapting import resetting
from streamkit.adapting.connection import ClientLeft, client_of

HTTP_1_0 = {"SERVER_PROTOCOL": "HTTP/1.0"}

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
    seen = client_of({"gunicorn.socket": connection, **HTTP_1_0}, live=True)
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
    seen = client_of({"gunicorn.socket": server, **HTTP_1_0}, live=True)
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
    """However slowly the client takes it. The thread of the server need not wait for that."""
    server, client = ends
    seen = client_of({"gunicorn.socket": server, **HTTP_1_0}, live=False)
    assert seen is not None
    server.setblocking(False)
    written = 0
    with pytest.raises(BlockingIOError):
        while True:
            written += server.send(bytes(1 << 16))
    seen.reset()
    assert server.recv(1) == b""
    received = 0
    with pytest.raises(ConnectionResetError):
        while piece := client.recv(1 << 14):
            received += len(piece)
    assert received == written
    wait_until(lambda: "streamkit-reset" not in {each.name for each in threading.enumerate()})


def test_a_client_that_takes_nothing_is_reset_in_the_end(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resetting, "MAX_STALL", 0.1)
    server, client = ends
    seen = client_of({"gunicorn.socket": server, **HTTP_1_0}, live=False)
    assert seen is not None
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        while server.send(bytes(1 << 16)):
            pass
    seen.reset()
    wait_until(lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_connection_is_reset_though_the_child_of_a_fork_has_it(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    seen = client_of({"gunicorn.socket": server, **HTTP_1_0}, live=False)
    assert seen is not None
    done, over = os.pipe()
    child = os.fork()
    if not child:
        os.close(over)
        os.read(done, 1)
        os._exit(0)
    try:
        server.sendall(b"rows")
        seen.reset()
        assert client.recv(4) == b"rows"
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    finally:
        os.close(over)
        os.close(done)
        os.waitpid(child, 0)


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_a_connection_of_gunicorns_whose_bodies_have_an_end_is_left_to_it(
    ends: tuple[socket.socket, socket.socket], version: str
) -> None:
    """Other streams of the same connection may go on."""
    server, client = ends
    seen = client_of({"gunicorn.socket": server, "SERVER_PROTOCOL": version}, live=False)
    assert seen is not None
    seen.reset()
    server.sendall(b"more")
    assert client.recv(4) == b"more"


def test_a_unix_socket_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be reset."""
    server, client = socket.socketpair()
    with server, client:
        seen = client_of({"werkzeug.socket": server, **HTTP_1_0}, live=False)
        assert seen is not None
        seen.reset()
        server.sendall(b"more")
        assert client.recv(4) == b"more"


def test_what_a_server_writes_after_a_reset_reaches_nobody(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    seen = client_of({"werkzeug.socket": server, **HTTP_1_0}, live=False)
    assert seen is not None
    seen.reset()
    assert server.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        server.sendall(b"an end")
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_connection_that_its_server_has_closed_is_left_alone(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    seen = client_of({"gunicorn.socket": server, **HTTP_1_0}, live=False)
    assert seen is not None
    server.close()
    seen.reset()
    assert client.recv(1) == b""


@pytest.mark.parametrize("live", [False, True])
def test_a_live_stream_on_a_worker_without_threads_is_warned_of_once(
    ends: tuple[socket.socket, socket.socket],
    live: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("streamkit.log._said", set())
    for _ in range(2):
        client_of({"gunicorn.socket": ends[0], "wsgi.multithread": False}, live=live)
    assert len(caplog.messages) == live
    assert all("gunicorn --worker-class gthread" in said for said in caplog.messages)
