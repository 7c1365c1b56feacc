"""A client that takes nothing more, under WSGI: the kernel sees to it, if it can be asked to."""

import socket
from typing import Any

import pytest

from streamkit_adapters import wsgi


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this system")
@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
class TestSockets:
    """Where the environ gives the one of the client."""

    @pytest.mark.parametrize(
        ("make", "seconds"),
        [
            (lambda service: service.sse("s", ["event"]), 120),
            (lambda service: service.export("e", [1], "ndjson"), 3600),
            (lambda service: service.download(b"piece", filename="f"), 3600),
        ],
        ids=["live", "export", "download"],
    )
    def test_a_client_has_so_long_to_take_something(
        self, name: str, make: Any, seconds: int
    ) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()),
            server.accept()[0] as connection,
        ):
            open_for(connection, name, make)
            set_to = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert set_to == seconds * 1000

    def test_a_socket_of_another_family_has_no_such_option(self, name: str) -> None:
        here, there = socket.socketpair()
        with here, there:
            open_for(here, name, lambda service: service.export("e", [1], "ndjson"))


def open_for(connection: socket.socket, name: str, make: Any) -> None:
    environ: Any = {"REQUEST_METHOD": "GET", name: connection}
    body: Any = make(wsgi.StreamingService)(environ, lambda *head: lambda data: None)
    body.close()
