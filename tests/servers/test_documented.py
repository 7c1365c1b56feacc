"""What the docs say of servers: how each is started, and with which versions that is observed."""

import re
from http.client import HTTPConnection
from pathlib import Path

import pytest

from examples import WAIT, free_port, running

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = (ROOT / "tests/constraints.txt").read_text()
PINNED = dict(re.findall(r"^([\w-]+)==([\d.]*\d)", CONSTRAINTS, re.M))
DOCUMENTED = re.findall(
    r"^\| (\w+)[^|]*\|[^|]*\| ([\d.]+)(?:.* with (gevent) ([\d.]+))?",
    (ROOT / "docs/servers.md").read_text(),
    re.M,
)


def test_versions() -> None:
    assert len(DOCUMENTED) == 13
    for server, version, other, other_version in DOCUMENTED:
        # uWSGI's own packaging needs a compiler.
        assert PINNED["pyuwsgi" if server == "uWSGI" else server.lower()] == version
        assert not other or PINNED[other] == other_version


STARTS = re.findall(
    r"^## ([^\n]+)$.*?^```sh\n([^\n]+)\n```", (ROOT / "docs/deployment.md").read_text(), re.M | re.S
)

MODULES = {"waitress-serve": "waitress", "uwsgi": "servers.uwsgi"}
"""What a program is a module of, where that has another name."""


@pytest.mark.parametrize("line", [line for _, line in STARTS], ids=[name for name, _ in STARTS])
def test_a_line_of_the_page_on_deployment_serves_events(line: str) -> None:
    is_async = re.search(r"^(uvicorn|hypercorn|granian|daphne)|Uvicorn", line)
    port = free_port()
    program, _, arguments = line.replace("8000", f"{port}").partition(" ")
    arguments = arguments.replace(
        "app:app", "fastapi_events:app" if is_async else "flask_events:app"
    )
    with running(f"{MODULES.get(program, program)} {arguments}", port):
        connection = HTTPConnection("127.0.0.1", port, timeout=WAIT)
        try:
            connection.request("GET", "/events")
            response = connection.getresponse()
            lines = [response.readline() for _ in range(4)]
        finally:
            connection.close()
    assert (response.status, b'data: {"tick":1}\n' in lines) == (200, True)


def test_the_page_on_deployment_has_a_section_a_server() -> None:
    assert len(STARTS) == 9
