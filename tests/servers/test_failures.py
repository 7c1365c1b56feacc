"""What a client sees of a source that fails: never a body that looks complete."""

import shutil
import subprocess
from http.client import IncompleteRead

import pytest
from servers.bodies import PIECE, Body
from servers.client import target
from servers.harness import Server, until


def test_a_source_that_fails_midway_breaks_the_body_off(
    server: Server, body: Body, source: str, name: str
) -> None:
    """After all that it gave before."""
    with server.client() as client:
        response = client.get(body.path, name=name, source=source, count=10, fails=1, **body.query)
        assert response.status == 200
        with pytest.raises(IncompleteRead) as raised:
            response.read()
    # A loaded machine may take so long that there was a heartbeat.
    assert raised.value.partial.replace(b": heartbeat\n\n", b"") == body.parts(10)
    server.expect_error("RuntimeError: the source failed")
    until(lambda: server.account(name).closed == 1)


def test_a_source_that_fails_before_its_first_element(
    server: Server, body: Body, source: str, name: str
) -> None:
    """Is an error of the server's, unless the head of an event stream has been sent already."""
    with server.client() as client:
        response = client.get(body.path, name=name, source=source, count=0, fails=1, **body.query)
        if body.path == "/sse" and response.status == 200:
            with pytest.raises(IncompleteRead):
                response.read()
        else:
            assert response.status == 500
            assert response.getheader("Content-Disposition") is None
    server.expect_error("RuntimeError: the source failed")
    until(lambda: server.account(name).closed == 1)


@pytest.mark.parametrize("size", [10 * PIECE - 1, 9 * PIECE, 10 * PIECE + 1])
def test_a_download_of_another_size_than_declared(
    server: Server, source: str, name: str, size: int
) -> None:
    with server.client() as client:
        response = client.get("/download", name=name, source=source, count=10, size=size)
        assert response.getheader("Content-Length") == str(size)
        with pytest.raises(IncompleteRead):
            response.read()
    server.expect_error(
        f"SizeMismatch: a size of {size} bytes was declared, but the source yielded {10 * PIECE}"
    )
    until(lambda: server.account(name).closed == 1)


def test_a_download_that_fails_short_of_its_size(server: Server, source: str, name: str) -> None:
    with server.client() as client:
        response = client.get(
            "/download", name=name, source=source, count=10, fails=1, size=20 * PIECE
        )
        with pytest.raises(IncompleteRead) as raised:
            response.read()
    assert len(raised.value.partial) == 10 * PIECE
    server.expect_error("RuntimeError: the source failed")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("fails", [None, 1])
def test_curl(server: Server, body: Body, source: str, name: str, fails: int | None) -> None:
    asked = target(body.path, name=name, source=source, count=10, fails=fails, **body.query)
    curl = ["curl", "--silent", "--output", "/dev/null", f"{server.origin}{asked}"]
    assert (subprocess.run(curl, check=False).returncode != 0) == (fails is not None)
    if fails:
        server.expect_error("RuntimeError: the source failed")
