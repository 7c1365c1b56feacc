"""The end of a server: live streams end in good order, downloads are sent to their end."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPResponse

import pytest
from servers.bodies import PIECE
from servers.ending import Ending
from servers.harness import ROWS, Row, Server

PIECES = 200
"""More than server and kernel keep for a client."""

# The handlers of uWSGI are not Python's.
TOLD = [row for row in ROWS if row.server != "uwsgi"]

# There SIGTERM breaks off what is still sent once the live streams have ended.
AT_ONCE = ("waitress", "waitress-lookahead", "werkzeug", "cheroot", "daphne")

# Of the clients that come at once it lets five wait, and the others try again in a second.
OPTIONS = {"cheroot": "--request-queue-size 50"}


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as clients:
        yield clients


def listen(server: Server, clients: ExitStack, count: int) -> list[HTTPResponse]:
    """The responses of so many silent streams."""
    # Nothing can wake a sync source that waits, and so the signal is put off for a whole second.
    source = server.row.sources[-1]
    asking = []
    for n in range(count):
        client = clients.enter_context(server.client())
        client.ask("/letters", name=f"{n}", source=source)
        asking.append(client)
    return [client.read_head() for client in asking]


def assert_retried(response: HTTPResponse) -> None:
    # Raises if the body is broken off.
    body = response.read().replace(b": heartbeat\n\n", b"")
    found = re.fullmatch(rb"retry: (\d+)\n\n", body)
    assert found, body
    assert 1000 <= int(found[1]) <= 10_000


def end(row: Row, clients: ExitStack, number: signal.Signals, options: str = "") -> None:
    with Ending(row, options or OPTIONS.get(row.server, "")) as server:
        streams = listen(server, clients, min(row.streams - 1, 50) or 1)
        download: Callable[[], bytes] = lambda: bytes(PIECES * PIECE)  # noqa: E731
        if row.streams > 1:
            client = clients.enter_context(server.client(receive_buffer=PIECE))
            download = client.get("/download", name="download", source="sync", count=PIECES).read
        asked_at = time.monotonic()
        server.send(number)
        for stream in streams:
            assert_retried(stream)
        if number == signal.SIGINT or row.server not in AT_ONCE:
            assert len(download()) == PIECES * PIECE
        server.wait()
        seconds = time.monotonic() - asked_at
        assert "Traceback" not in server.errors()
    print(f"{row} {options}, {number.name}: {len(streams)} streams, gone in {seconds:.2f} s")


@pytest.mark.parametrize("row", TOLD, ids=str)
def test_live_streams_are_told_when_to_come_back(row: Row, clients: ExitStack) -> None:
    end(row, clients, signal.SIGTERM)


@pytest.mark.parametrize("row", [row for row in ROWS if row.server.startswith("gunicorn")], ids=str)
def test_live_streams_of_an_application_loaded_before_the_fork_are_told_when_to_come_back(
    row: Row, clients: ExitStack
) -> None:
    end(row, clients, signal.SIGTERM, "--preload")


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.server in ("waitress", "uvicorn-h11", "hypercorn")], ids=str
)
def test_live_streams_are_told_when_to_come_back_by_an_interrupt(
    row: Row, clients: ExitStack
) -> None:
    end(row, clients, signal.SIGINT)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.server.startswith("gunicorn") and row.streams > 1], ids=str
)
def test_live_streams_of_the_workers_of_an_interrupted_arbiter_are_told_when_to_come_back(
    row: Row, clients: ExitStack
) -> None:
    """It sends them SIGQUIT: they are not to finish what else they do."""
    with Ending(row) as server:
        streams = listen(server, clients, min(row.streams, 10))
        server.send(signal.SIGINT)
        for stream in streams:
            assert_retried(stream)
        server.wait()
        assert "Traceback" not in server.errors()
