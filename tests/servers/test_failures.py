"""What a client sees of a source that fails: never a body that looks complete."""

import shutil
import subprocess
from http.client import RemoteDisconnected

import pytest
from servers.bodies import PIECE, Body
from servers.client import Client, Ending, read_to_end, target
from servers.harness import Row, Server, until

FAILURE = "RuntimeError: the source failed"


def fetch(row: Row, client: Client, path: str, **query: object) -> tuple[bytes, Ending]:
    """As ``read_to_end``, of a response whose source fails after its first element."""
    try:
        response = client.get(path, **query)
    except RemoteDisconnected:
        assert not row.sends_before_failure
        return b"", "broken"
    assert response.status == 200
    size = query.get("size")
    assert response.getheader("Content-Length") == (None if size is None else str(size))
    client.wait_at_most(row.failure_seconds)
    return read_to_end(response)


def expect_failure(row: Row, server: Server, text: str = FAILURE) -> None:
    if row.logs_failures:
        server.expect_error(text)


def test_a_source_that_fails_midway_breaks_the_body_off(
    row: Row, server: Server, body: Body, source: str, name: str
) -> None:
    """After all that it gave before."""
    with server.client() as client:
        query = {"name": name, "source": source, "count": 10, **body.query}
        received, ending = fetch(row, client, body.path, fails=1, **query)
    given = body.parts(10)
    assert received == (given if row.sends_before_failure else given[: len(received)])
    assert ending == row.failure
    expect_failure(row, server)
    until(lambda: server.account(name).closed == 1)


def test_a_source_that_fails_before_its_first_element_is_an_error_of_the_server(
    row: Row, server: Server, body: Body, source: str, name: str
) -> None:
    with server.client() as client:
        client.ask(body.path, name=name, source=source, count=0, fails=1, **body.query)
        if row.failure_status is None:
            with pytest.raises(RemoteDisconnected):
                client.read_head()
        else:
            response = client.read_head()
            assert response.status == row.failure_status
            assert response.getheader("Content-Disposition") is None
    if row.logs_answered_failures:
        expect_failure(row, server)
    until(lambda: server.account(name).closed == 1)


def test_a_source_that_fails_midway_breaks_the_body_off_under_http_1_0(
    row: Row, server: Server, body: Body, source: str, name: str
) -> None:
    """Where the end of the connection is the end of the body, unless it is reset."""
    with server.client(version="1.0") as client:
        query = {"name": name, "source": source, "count": 10, **body.query}
        received, ending = fetch(row, client, body.path, fails=1, **query)
    given = body.parts(10)
    assert received == (given if row.sends_before_failure else given[: len(received)])
    # What breaks a body off at once may cut its head as well, and a client is not mistaken then.
    assert ending == row.failure_of_http_1_0 or not row.sends_before_failure
    expect_failure(row, server)
    until(lambda: server.account(name).closed == 1)


@pytest.mark.parametrize("refused", ["async"])
def test_a_source_that_the_server_cannot_run_is_refused(
    server: Server, body: Body, refused: str, name: str
) -> None:
    """By an error that says what can."""
    with server.client() as client:
        response = client.get(body.path, name=name, source=refused, count=1, **body.query)
        assert response.status == 500
    server.expect_error("must be sync under gevent")


@pytest.mark.parametrize("size", [10 * PIECE - 1, 9 * PIECE, 10 * PIECE + 1])
def test_a_download_of_another_size_than_declared_is_broken_off(
    row: Row, server: Server, source: str, name: str, size: int
) -> None:
    with server.client() as client:
        received, ending = fetch(
            row, client, "/download", name=name, source=source, count=10, size=size
        )
    assert len(received) < size
    # Where a failed body is ended as if it were complete, its length tells.
    assert ending == ("open" if row.failure == "open" else "broken")
    expect_failure(row, server, f"SizeMismatch: a size of {size} bytes was declared")
    until(lambda: server.account(name).closed == 1)


def test_a_download_that_fails_short_of_its_size_is_broken_off(
    row: Row, server: Server, source: str, name: str
) -> None:
    size = 20 * PIECE
    with server.client() as client:
        query = {"name": name, "source": source, "count": 10, "size": size}
        received, ending = fetch(row, client, "/download", fails=1, **query)
    assert len(received) <= 10 * PIECE
    assert ending == ("open" if row.failure == "open" else "broken")
    expect_failure(row, server)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("fails", [None, 1])
def test_curl_fails_where_the_source_does(
    row: Row, server: Server, body: Body, name: str, fails: int | None
) -> None:
    asked = target(body.path, name=name, source="sync", count=10, fails=fails, **body.query)
    curl = ["curl", "--silent", "--output", "/dev/null", f"{server.origin}{asked}"]
    if fails:
        curl += ["--max-time", f"{row.failure_seconds}"]
    succeeds = fails is None or row.failure == "complete"
    assert (subprocess.run(curl, check=False).returncode == 0) == succeeds
    if fails:
        expect_failure(row, server)
