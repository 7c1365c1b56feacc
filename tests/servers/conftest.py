import os
import resource
import signal
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from servers.bodies import BODIES, Body
from servers.harness import ROWS, Row, Server

_names = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the sources that a server cannot stream, or ``refused`` ones that it can.

    And bytes that are left ``unread``, where it is the server that looks for clients that leave.
    """
    items[:] = [item for item in items if _is_meant(getattr(item, "callspec", None))]


OTHERS = (
    "waitress-lookahead",
    "gunicorn-sync",
    "cheroot",
    "granian-wsgi",
    "uvicorn-h11",
    "gunicorn-asgi",
)
"""Servers that are like another one of the table. They are tried where TEST_SERVERS is ``all``."""


def _is_meant(callspec: Any) -> bool:
    parameters: dict[str, Any] = callspec.params if callspec else {}
    row = parameters.get("row")
    if not isinstance(row, Row):
        return True
    if row.server in OTHERS and os.environ.get("TEST_SERVERS") != "all":
        return False
    return (
        parameters.get("source", row.sources[0]) in row.sources
        and parameters.get("refused") not in row.sources
        and ("unread" not in parameters or row.looks)
    )


@pytest.fixture(scope="session", autouse=True)
def file_descriptors() -> None:
    """Enough for a thousand connections, here and in the servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Heard by the servers, also where the tests run in the background of a shell script.

    What that starts ignores them, and so does what is started by this in turn. A handler, as pytest
    has otherwise, is not inherited.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", params=ROWS, ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    row: Row = request.param
    return row


@pytest.fixture(scope="session")
def running_server(row: Row) -> Iterator[Server]:
    with Server(row) as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """The server of a row, whose only errors are those that a test expected."""
    yield from without_errors(running_server)


@pytest.fixture(scope="session")
def running_beating_server(row: Row) -> Iterator[Server]:
    with Server(row, environment={"TEST_HEARTBEAT": "0.1"}) as server:
        yield server


@pytest.fixture
def beating_server(running_beating_server: Server) -> Iterator[Server]:
    """Another one, with many heartbeats a second."""
    yield from without_errors(running_beating_server)


def without_errors(server: Server) -> Iterator[Server]:
    yield server
    errors = server.errors()
    server.expect_error("")
    assert not server.row.logs_failures or errors == ""


@pytest.fixture(params=["sync", "async"])
def source(request: pytest.FixtureRequest) -> str:
    """Which source a stream has."""
    source: str = request.param
    return source


@pytest.fixture(params=BODIES, ids=str)
def body(request: pytest.FixtureRequest) -> Body:
    body: Body = request.param
    return body


@pytest.fixture
def name() -> str:
    """The name of a stream, and of its account."""
    return f"stream-{next(_names)}"
