"""A real Caddy and a real HAProxy before a server with threads and one with a loop.

As they come, but that they compress what they may. docs/proxies.md says what comes of it.
"""

import gzip
import re
import subprocess
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest
from servers import proxies
from servers.bodies import BODIES
from servers.client import block, read_to_end
from servers.harness import ROWS, Row, Server, until
from servers.proxies import Proxy

(CSV,) = (body for body in BODIES if body.query.get("format") == "csv")

COMPRESSING = {
    "caddy": "encode gzip",
    "haproxy": "compression algo gzip\n    compression type text/csv text/event-stream",
}
"""Of HAProxy: what it is told to, which of events it does not do."""

MENDED_IN_CADDY = (2, 7, 6)
"""From then on it breaks off what was broken off before it: its pull request 5952."""

HEADERS = {"Accept-Encoding": "gzip"}


@pytest.fixture(
    scope="session",
    params=[row for row in ROWS if row.server in ("gunicorn-gthread", "uvicorn-h11")],
    ids=str,
)
def row(request: pytest.FixtureRequest) -> Row:
    row: Row = request.param
    return row


@pytest.fixture(scope="session", params=COMPRESSING)
def program(request: pytest.FixtureRequest) -> str:
    program: str = request.param
    return program


@pytest.fixture(scope="session")
def running_proxy(running_beating_server: Server, program: str) -> Iterator[Proxy]:
    with getattr(proxies, program)(running_beating_server.origin, COMPRESSING[program]) as running:
        yield running


@pytest.fixture
def server(beating_server: Server) -> Server:
    """One for all of this."""
    return beating_server


@pytest.fixture
def proxy(server: Server, running_proxy: Proxy) -> Proxy:
    return running_proxy


def version_of_caddy() -> tuple[int, ...]:
    said = subprocess.run(["caddy", "version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:3]))


def event(response: HTTPResponse) -> bytes:
    """The next one, or nothing at the end."""
    while (found := block(response)) == b": heartbeat\n\n":
        pass
    return found


def test_an_event_arrives_while_the_stream_goes_on(server: Server, proxy: Proxy, name: str) -> None:
    """And is not compressed, since that would hold it back."""
    with proxy.client(headers=HEADERS) as client:
        client.ask("/letters", name=name, source="async")
        server.tell(name, "one")
        response = client.read_head()
        assert "Content-Encoding" not in response.headers
        assert event(response) == b"data: one\n\n"
        server.tell(name, "two")
        assert event(response) == b"data: two\n\n"
        server.tell(name, None)
        assert event(response) == b""


def test_heartbeats_arrive(server: Server, proxy: Proxy, name: str) -> None:
    with proxy.client(headers=HEADERS) as client:
        response = client.get("/letters", name=name, source="async")
        for _ in range(3):
            assert block(response) == b": heartbeat\n\n"


def test_a_client_that_leaves_is_noticed(server: Server, proxy: Proxy, name: str) -> None:
    with proxy.client() as client:
        client.ask("/letters", name=name, source="async")
        server.tell(name, "one")
        client.read_head()
    until(lambda: server.account(name).closed == 1)


def test_a_row_of_ndjson_arrives_while_the_stream_goes_on(
    server: Server, proxy: Proxy, name: str
) -> None:
    with proxy.client() as client:
        client.ask("/lines", name=name, source="async")
        server.tell(name, "one")
        response = client.read_head()
        assert response.readline() == b'"one"\n'
        server.tell(name, "two")
        assert response.readline() == b'"two"\n'
        server.tell(name, None)
        assert response.read() == b""


def test_a_source_that_fails_midway_breaks_the_body_off(
    server: Server, proxy: Proxy, program: str, name: str
) -> None:
    """With nothing set, as both speak HTTP/1.1 to the server. An older Caddy keeps it to itself."""
    with proxy.client() as client:
        response = client.get(CSV.path, name=name, source="sync", count=10, fails=1, **CSV.query)
        received, ending = read_to_end(response)
    keeps_it = program == "caddy" and version_of_caddy() < MENDED_IN_CADDY
    assert (response.status, ending) == (200, "complete" if keeps_it else "broken")
    assert CSV.parts(10).startswith(received)
    server.expect_error("RuntimeError: the source failed")


def test_an_export_is_compressed_once(server: Server, proxy: Proxy, name: str) -> None:
    with proxy.client(headers=HEADERS) as client:
        response = client.get(CSV.path, name=name, source="sync", count=1000, **CSV.query)
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(response.read()) == CSV.whole(1000)


def test_a_range_passes(server: Server, proxy: Proxy) -> None:
    with proxy.client(headers={**HEADERS, "Range": "bytes=2-4"}) as client:
        response = client.get("/digits", name="digits")
        assert (response.status, response.read()) == (206, b"234")
        assert response.headers["Content-Range"] == "bytes 2-4/10"
