"""Downloads of files over real servers, to the clients that people have."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest
from servers.harness import ROWS, WAIT, Row, Server, until

LARGE = (10 << 30) if os.environ.get("STREAMKIT_LARGE") == "1" else (256 << 20)
SIZE = 3_000_017
DATA = os.urandom(SIZE)


# One leaves a client waiting where an application fails.
BREAKING_OFF = [row for row in ROWS if row.failure != "open"]

# What it sends by its path, it says nothing of.
SILENT = "granian-asgi"


@pytest.fixture(scope="module", params=BREAKING_OFF, ids=str)
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    row: Row = request.param
    adapter = row.adapter
    if adapter == "django":
        adapter = f"django-{'asgi' if row.is_async else 'wsgi'}"
    environment = {"TEST_ADAPTER": adapter}
    with Server(replace(row, adapter="downloads"), environment=environment) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """A server that writes of no errors but those that a test expected."""
    yield running
    errors = running.errors()
    running.expect_error("")
    assert errors == ""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def tells_of(server: Server, error: str) -> None:
    """The server, if it tells of errors, and the metrics."""
    if server.row.logs_failures:
        server.expect_error(error)
    until(lambda: server.state().active == 0)


def target(**query: object) -> str:
    return f"/?{urlencode(query)}"


class OneRequestEach(HTTPConnection):
    """For a server that closes a connection after one response, without a word."""

    def request(self, *arguments: Any, **named: Any) -> None:
        self.close()
        super().request(*arguments, **named)


@pytest.fixture
def connection(server: Server) -> Iterator[HTTPConnection]:
    kind = OneRequestEach if server.row.server == "uwsgi" else HTTPConnection
    with closing(kind(server.origin.removeprefix("http://"), timeout=WAIT)) as connection:
        yield connection


def test_one_connection_serves_many_requests(
    server: Server, connection: HTTPConnection, path: Path
) -> None:
    """None of the responses is longer or shorter than the server thinks."""
    sent = server.state().sent

    def ask(method: str, status: int, **headers: str) -> bytes:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target(file=path), headers=named)
        response = connection.getresponse()
        assert response.status == status
        return response.read()

    assert ask("GET", 200) == DATA
    assert ask("HEAD", 200) == b""
    assert ask("GET", 206, Range="bytes=10-1999999") == DATA[10:2_000_000]
    assert ask("GET", 416, Range=f"bytes={SIZE}-") == b""
    assert ask("GET", 304, If_None_Match="*") == b""
    assert ask("GET", 412, If_Match='"other"') == b""
    assert DATA[:10] in ask("GET", 206, Range="bytes=0-9,20-29")
    assert ask("GET", 200, Range="bytes=") == DATA
    assert ask("HEAD", 304, If_None_Match="*") == b""
    assert ask("GET", 206, Range="bytes=-10") == DATA[-10:]
    until(lambda: server.state().active == 0)
    parts = 2 * SIZE + 2_000_000
    assert parts <= server.state().sent - sent <= parts + 1000


def test_a_large_file_takes_no_memory(
    server: Server, connection: HTTPConnection, tmp_path: Path
) -> None:
    """Nor does one of 10 GiB, with ``STREAMKIT_LARGE=1`` in the environment."""
    path = tmp_path / "large"
    path.touch()
    process = psutil.Process(server.state().pid)
    resident = []
    for size in (LARGE // 16, LARGE):
        os.truncate(path, size)
        connection.request("GET", target(file=path))
        response = connection.getresponse()
        received = 0
        resident.append(0)
        while piece := response.read(1 << 20):
            received += len(piece)
            resident[-1] = max(resident[-1], process.memory_info().rss)
        assert received == size
    # Of the larger one waitress keeps what the smaller one has not.
    kept = (16 << 20) if server.row.server.startswith("waitress") else 0
    assert resident[1] - resident[0] < kept + (16 << 20)


@pytest.mark.parametrize("left", [1, 1000, SIZE - 1])
def test_a_file_that_shrinks_before_it_is_sent_is_an_error(
    server: Server, connection: HTTPConnection, path: Path, left: int
) -> None:
    """Of the server's, or it is broken off."""
    connection.request("GET", target(file=path, then=left))
    try:
        response = connection.getresponse()
        body = response.read()
    except (HTTPException, ConnectionError):
        pass
    else:
        assert response.status == 500, len(body)
    if server.row.server != SILENT:
        tells_of(server, "SizeMismatch")


def test_a_file_that_shrinks_while_it_is_sent_is_broken_off(server: Server, path: Path) -> None:
    size = 1 << 30
    os.truncate(path, size)
    with server.client(receive_buffer=65536) as client:
        response = client.get("/", file=path)
        assert response.getheader("Content-Length") == str(size)
        assert response.read(SIZE) == DATA
        os.truncate(path, SIZE)
        received = SIZE
        with suppress(ConnectionError):
            while piece := response.read(1 << 20):
                received += len(piece)
        assert received < size
    if server.row.server != SILENT:
        tells_of(server, "SizeMismatch")


def test_a_file_that_grows_is_sent_as_it_was(connection: HTTPConnection, path: Path) -> None:
    for grown in (0, 1000):
        connection.request("GET", target(file=path, then=SIZE + grown + 1000))
        assert connection.getresponse().read() == DATA + bytes(grown)


@pytest.mark.parametrize("last", ["9", "11", "text"])
def test_a_function_that_yields_something_else_is_broken_off(
    server: Server, connection: HTTPConnection, last: str
) -> None:
    connection.request("GET", target(last=last))
    with pytest.raises((HTTPException, ConnectionError)):
        connection.getresponse().read()
    tells_of(server, "bytes-like objects, got str" if last == "text" else "SizeMismatch")


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, timeout=WAIT, stdout=subprocess.DEVNULL)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "client",
    [
        "curl --silent --show-error --fail -C - --output {file} {url}",
        "wget --quiet -c --output-document {file} {url}",
    ],
    ids=["curl", "wget"],
)
def test_curl_and_wget_resume_a_download(
    server: Server, path: Path, tmp_path: Path, client: str
) -> None:
    needs(client.split()[0])
    got = tmp_path / "got"
    for begun in (0, 1, 1_000_000, SIZE - 1):
        got.write_bytes(DATA[:begun])
        command = client.format(file=got, url=server.origin + target(file=path))
        run(*command.split())
        assert digest(got) == digest(path)


def test_aria2_reads_ranges_in_parallel(server: Server, path: Path, tmp_path: Path) -> None:
    needs("aria2c")
    run(
        "aria2c",
        "--quiet",
        "--no-conf",
        "--max-connection-per-server=8",
        "--split=8",
        "--min-split-size=1M",
        f"--dir={tmp_path}",
        "--out=got",
        server.origin + target(file=path),
    )
    assert digest(tmp_path / "got") == digest(path)


# More of them in tests/http/test_disposition.py; what a browser makes of these in tests/browser.
@pytest.mark.parametrize(
    ("filename", "saved_as"),
    [
        ("annual report (2).pdf", "annual report (2).pdf"),
        ("../../etc/passwd", "passwd"),
        ('a"b%41;c.txt', "a_b_41;c.txt"),
        ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
        ("..a", "..a"),
        ("CON", "_CON"),
        ("a" * 300 + ".txt", "a" * 236 + ".txt"),
        ("café \u202e\U0001f469\u200d\U0001f4bb.txt", "cafe __.txt"),
    ],
)
def test_curl_names_the_file(
    server: Server, path: Path, tmp_path: Path, filename: str, saved_as: str
) -> None:
    """By ``filename`` alone: it does not know ``filename*``."""
    needs("curl")
    folder = tmp_path / "saved"
    folder.mkdir()
    url = server.origin + target(file=path, filename=filename)
    run("curl", "--silent", "--output-dir", folder, "-OJ", url)
    assert [each.name for each in folder.iterdir()] == [saved_as]


def needs(program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
