"""A real nginx in front of each server, as it comes but where a test says otherwise.

docs/proxies.md says what comes of it.
"""

import time
from collections.abc import Iterator

import pytest
from servers.bodies import BODIES, PIECE
from servers.client import block, read_to_end
from servers.harness import Row, Server, until
from servers.proxies import Proxy, nginx

(PIECES,) = (body for body in BODIES if body.path == "/download")
(CSV,) = (body for body in BODIES if body.query.get("format") == "csv")

MAX_STALL = 0.5
"""Seconds, in place of two minutes."""


@pytest.fixture(scope="session", params=["1.0", "1.1"])
def version(request: pytest.FixtureRequest) -> str:
    """What nginx speaks to the server. Before 1.29.7 it is 1.0 as it comes."""
    version: str = request.param
    return version


@pytest.fixture
def proxy(server: Server, version: str) -> Iterator[Proxy]:
    with nginx(server.origin, f"proxy_http_version {version};") as running:
        yield running


def test_a_source_that_fails_midway_breaks_the_body_off(
    row: Row, server: Server, proxy: Proxy, version: str, name: str
) -> None:
    """With the setting on every server that breaks off what it sends itself."""
    expected = row.failure_of_http_1_0 if version == "1.0" else row.failure
    with proxy.client() as client:
        client.wait_at_most(row.failure_seconds)
        try:
            response = client.get(
                CSV.path, name=name, source="sync", count=10, fails=1, **CSV.query
            )
        except TimeoutError:
            # nginx waits for more to send with the head.
            assert expected == "open"
        else:
            if response.status == 502:
                # Nothing of it has come to nginx, which says so.
                assert not row.sends_before_failure
            else:
                received, ending = read_to_end(response)
                assert CSV.parts(10).startswith(received)
                assert ending == expected
    if row.logs_failures:
        server.expect_error("RuntimeError: the source failed")
    until(lambda: server.account(name).closed == 1)


def test_an_event_arrives_while_the_stream_goes_on(
    server: Server, proxy: Proxy, source: str, name: str
) -> None:
    with proxy.client() as client:
        client.ask("/letters", name=name, source=source)
        server.tell(name, "one")
        response = client.read_head()
        for text in ("one", "two"):
            if text == "two":
                server.tell(name, text)
            while (found := block(response)) == b": heartbeat\n\n":
                pass
            assert found == b"data: %s\n\n" % text.encode()
        server.tell(name, None)
        assert response.read() == b""
        assert response.status == 200


def test_a_row_of_ndjson_arrives_while_the_stream_goes_on(
    server: Server, proxy: Proxy, source: str, name: str
) -> None:
    with proxy.client() as client:
        client.ask("/lines", name=name, source=source)
        server.tell(name, "one")
        response = client.read_head()
        assert response.readline() == b'"one"\n'
        server.tell(name, "two")
        assert response.readline() == b'"two"\n'
        server.tell(name, None)
        assert response.read() == b""
        assert response.status == 200


@pytest.mark.parametrize("source", ["async"])
def test_a_client_that_leaves_is_noticed(
    beating_server: Server, version: str, source: str, name: str
) -> None:
    with nginx(beating_server.origin, f"proxy_http_version {version};") as proxy:
        with proxy.client() as client:
            client.ask("/letters", name=name, source=source)
            beating_server.tell(name, "one")
            client.read_head()
        until(lambda: beating_server.account(name).ended == 1)


def test_a_download_rests_while_the_proxy_has_no_room_for_it(row: Row) -> None:
    """For longer than a live stream may: nginx reads on when its client has taken what it has."""
    with (
        Server(row, environment={"TEST_MAX_STALL": f"{MAX_STALL}"}) as server,
        nginx(server.origin, "proxy_max_temp_file_size 1m;") as proxy,
        proxy.client(receive_buffer=PIECE) as client,
    ):
        response = client.get(PIECES.path, name="whole", source="sync", count=1024)
        if row.holds_up:
            until(lambda: _rests(server))
            time.sleep(3 * MAX_STALL)
        received, ending = read_to_end(response)
        assert ending == "complete"
        assert received == PIECES.whole(1024)
        assert server.account("whole").closed == 1


def _rests(server: Server) -> bool:
    """Whether the source gave nothing for a while, and is not at its end."""
    account = server.account("whole")
    time.sleep(0.3)
    later = server.account("whole")
    return account.given == later.given > 0 and not later.ended
