"""A client that takes nothing more, under WSGI: the kernel sees to it, if it can be asked to."""

import socket
from typing import Any

import pytest

from streamkit_adapters import wsgi


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this system")
@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
class TestSockets:
    """Where the environ gives the one of the client."""

    def open(self, connection: socket.socket, name: str) -> None:
        environ: Any = {"REQUEST_METHOD": "GET", name: connection}
        response = wsgi.StreamingService.export("e", [1], "ndjson")
        body: Any = response(environ, lambda *head: lambda data: None)
        body.close()

    def test_a_client_has_two_minutes_to_take_something(self, name: str) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()),
            server.accept()[0] as connection,
        ):
            self.open(connection, name)
            set_to = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert set_to == 120_000

    def test_a_socket_of_another_family_has_no_such_option(self, name: str) -> None:
        here, there = socket.socketpair()
        with here, there:
            self.open(here, name)
