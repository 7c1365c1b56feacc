"""Middleware that gives the body of a request again, where the server tells of departures."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from servers.bodies import BODIES, Body, with_dropped
from servers.client import block
from servers.harness import ROWS, Row, Server, until

SERVERS = [row for row in ROWS if row.server in ("uvicorn-httptools", "hypercorn", "granian-asgi")]

MIDDLEWARE = pytest.mark.parametrize("middleware", ["PutBack", "Replay"])


@pytest.fixture(scope="module", params=SERVERS, ids=str)
def replaying(request: pytest.FixtureRequest) -> Iterator[Server]:
    row: Row = request.param
    with Server(replace(row, adapter="replaying")) as server:
        yield server
        # In a process, and not for each request.
        assert server.errors().count("departures of clients are not seen") <= 1


@MIDDLEWARE
def test_every_byte_arrives(
    replaying: Server, middleware: str, body: Body, source: str, name: str
) -> None:
    with replaying.client() as client:
        query = {"name": name, "source": source, "count": 100, **body.query}
        client.post(f"/{middleware}{body.path}", b"what is read, and given again", **query)
        response = client.read_head()
        assert response.status == 200
        received = response.read()
    if body is BODIES[0]:
        received = with_dropped(received)
    assert received == body.whole(100)
    assert replaying.account(name).closed == 1


@MIDDLEWARE
def test_others_are_answered_while_a_stream_is_silent(
    replaying: Server, middleware: str, source: str, name: str
) -> None:
    with replaying.client() as client:
        client.post(f"/{middleware}/letters", b"read", name=name, source=source)
        replaying.tell(name, "one")
        response = client.read_head()
        while (found := block(response)) == b": heartbeat\n\n":
            pass
        assert found == b"data: one\n\n"
        other = {"name": f"{name}-other", "source": source, "count": 1}
        assert replaying.get(f"/{middleware}/sse", **other) == b"data: 0\n\n"
        replaying.tell(name, None)
        assert response.read() == b""
    until(lambda: replaying.account(name).closed == 1)
