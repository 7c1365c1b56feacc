"""What the start of the docs says that the same events take, made by others: it is what they do."""

import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from redis_server import redis_server

from examples import EXAMPLES, WAIT, started

ROOT = Path(__file__).resolve().parents[2]

ROWS = re.findall(
    r"^\| .*?\[(\w+)\]\(\.\./(examples/\S+)\) \| (\d+) \| `pip install .*\| (yes|no)[^|]*\|$",
    (ROOT / "docs" / "README.md").read_text(),
    re.M,
)


def test_all_of_them_are_in_the_table() -> None:
    shown = {path for _, path, *_ in ROWS}
    assert shown >= {f"examples/beside/{path.name}" for path in EXAMPLES.glob("beside/*.py")}
    assert len(ROWS) == len(shown) == 8


@pytest.mark.parametrize(("name", "path", "lines"), [row[:3] for row in ROWS])
def test_a_program_has_so_many_lines(name: str, path: str, lines: str) -> None:
    written = (ROOT / path).read_text().splitlines()
    assert len([line for line in written if line.strip()]) == int(lines)
    assert path.endswith(f"/{name}.py")


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as redis:
        yield redis.url


@pytest.mark.parametrize(
    ("path", "goes_on"), [(row[1], row[3]) for row in ROWS if "beside" in row[1]]
)
def test_a_program_of_others_sends_events(path: str, goes_on: str, redis_url: str) -> None:
    module = path.removeprefix("examples/").removesuffix(".py").replace("/", ".")
    command = (
        f"flask --app {module} run"
        if "flask" in module
        else f"uvicorn {module}:{'application' if 'django' in module else 'app'}"
    )
    with started(command, REDIS_URL=redis_url) as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=WAIT)
        try:
            connection.request("GET", "/events")
            response = connection.getresponse()
            assert re.fullmatch(r'data: ?\{"tick": ?\d+\}', tick(response))
            connection.close()
            connection.request("GET", "/events", headers={"Last-Event-ID": "7"})
            went_on = tick(connection.getresponse()) == 'data: {"tick": 8}'
            assert went_on == (goes_on == "yes")
        finally:
            connection.close()


def tick(response: HTTPResponse) -> str:
    """The line with the data of the first event, or nothing at the end."""
    for line in response:
        if b"tick" in line:
            return line.decode().strip()
    return ""
