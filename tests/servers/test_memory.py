"""How much a large stream adds to the memory of an idle server.

With ``STREAMKIT_LARGE=1`` in the environment, of 5,000,000 rows and of 10 GiB.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPResponse
from pathlib import Path

import pytest
from servers.bodies import PIECE
from servers.harness import ROWS, Row, Server, until

LARGE = os.environ.get("STREAMKIT_LARGE") == "1"
COUNT = 5_000_000 if LARGE else 200_000
PIECES = (10 * 1024 if LARGE else 512) * 1024 * 1024 // PIECE

MIB = 1024 * 1024

MOST = 16 * MIB
"""For a full buffer of 4 MiB, a batch of as much that is on its way out, and the server."""

# It keeps 16 MiB of a response for itself, and takes several times as much for them.
OPTIONS = {"waitress": "--outbuf-high-watermark 1048576"}

MEASURED = ("waitress", "uvicorn-h11", "hypercorn")

# Pieces of 64 KiB are given back as they are freed, and not kept for the next ones.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "32768"}

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc")


class Memory:
    """Of a server that was idle when this was made."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._process = Path(f"/proc/{server.state().pid}")
        self._idle = self._status("VmRSS")

    def grown(self) -> int:
        """Bytes by which it was larger, at most, since ``forget``."""
        return self._status("VmHWM") - self._idle

    def forget(self) -> None:
        self._process.joinpath("clear_refs").write_text("5")

    def _status(self, field: str) -> int:
        status = self._process.joinpath("status").read_text()
        found = re.search(rf"^{field}:\s*(\d+) kB$", status, re.MULTILINE)
        assert found
        return int(found[1]) * 1024


@pytest.fixture(scope="module", params=[row for row in ROWS if row.server in MEASURED], ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    row: Row = request.param
    command = row.command.replace("{app}", f"{OPTIONS.get(row.server, '')} {{app}}")
    return replace(row, command=command)


@pytest.fixture(scope="module")
def fresh_server(row: Row) -> Iterator[Memory]:
    with Server(row, environment=ENVIRONMENT) as server:
        for source in ("sync", "async"):
            server.get("/export", name="rows", source=source, format="ndjson", count=1000)
            server.get("/download", name="pieces", source=source, count=10)
        yield Memory(server)
        assert server.errors() == ""


@pytest.fixture
def memory(fresh_server: Memory) -> Memory:
    fresh_server.forget()
    return fresh_server


def read(response: HTTPResponse) -> tuple[int, bytes]:
    """The number of bytes, and the last ones."""
    size, last = 0, b""
    while piece := response.read(MIB):
        size += len(piece)
        last = piece
    return size, last


def grown(memory: Memory, what: str) -> int:
    print(f"{memory.server.row}, {what}: {memory.grown() / MIB:.1f} MiB")
    return memory.grown()


def until_held_up(server: Server, name: str) -> None:
    """Wait until the source of the stream called ``name`` gives nothing any more."""
    given, seen = -1, 0

    def held_up() -> bool:
        nonlocal given, seen
        before, given = given, server.account(name).given
        seen = seen + 1 if given == before else 0
        return seen == 50

    until(held_up)


def test_a_large_export_to_a_fast_reader_takes_little_memory(
    memory: Memory, source: str, name: str
) -> None:
    with memory.server.client() as client:
        response = client.get("/export", name=name, source=source, format="ndjson", count=COUNT)
        size, last = read(response)
    assert last.endswith(b'{"n":%d,"text":"row %d"}\n' % (COUNT - 1, COUNT - 1))
    digits = sum(len(str(n)) for n in range(COUNT))
    assert size == COUNT * len('{"n":,"text":"row "}\n') + 2 * digits
    assert grown(memory, f"{COUNT} rows, {source}") < MOST


def test_a_large_download_to_a_fast_reader_takes_little_memory(
    memory: Memory, source: str, name: str
) -> None:
    size = PIECES * PIECE
    with memory.server.client() as client:
        response = client.get("/download", name=name, source=source, count=PIECES, size=size)
        read_size, last = read(response)
    assert read_size == size
    assert last.endswith((PIECES - 1).to_bytes(8, "big"))
    assert grown(memory, f"{size // MIB} MiB, {source}") < MOST


@pytest.mark.parametrize(("path", "query"), [("/export", {"format": "ndjson"}), ("/download", {})])
def test_a_client_that_stops_reading_takes_little_memory(
    memory: Memory, source: str, name: str, path: str, query: dict[str, str]
) -> None:
    """It holds an endless source up."""
    with memory.server.client(receive_buffer=PIECE) as client:
        client.get(path, name=name, source=source, **query)
        until_held_up(memory.server, name)
        assert grown(memory, f"{path} that nobody reads, {source}") < MOST
    until(lambda: memory.server.account(name).closed == 1)
