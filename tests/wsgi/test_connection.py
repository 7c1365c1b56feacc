"""The look at a client's connection, without a server."""

import fcntl
import resource
import select
import socket
import struct
from collections.abc import Iterator

import pytest

from streamkit.adapting import connection as connections
from streamkit.adapting.connection import ClientLeft, watch

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
    look = watch({"gunicorn.socket": connection}, live=True)
    assert look is not None
    try:
        return look()
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
    look = watch({"gunicorn.socket": server}, live=True)
    assert look is not None
    server.close()
    with pytest.raises(ClientLeft):
        look()


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
