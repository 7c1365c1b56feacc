"""The commands of the README: what they start is served, and answers what they ask for."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest

from examples import README, WAIT, started

STARTS = [
    (server, asked.splitlines())
    for server, asked in re.findall(
        r"```sh\n(?:pip install .*\n)?((?:flask|uvicorn) .*)\n((?:curl .*\n)+)```", README
    )
    if "flask_channel" not in server
]
"""Each server, and what curl is to ask. The one that takes a key is started by the clients, and
that of a channel, which two are to ask at a time, by the tests of the docs."""

BODIES = {
    "/events": b'id: 1\ndata: {"tick":1}\n\nid: 2\ndata: {"tick":2}\n\n',
    "/orders.csv?status=open": b"id,status\r\n0,open\r\n1,open\r\n2,open\r\n",
    "/program": b"from flask ",
}


@contextmanager
def asked(command: str, port: int) -> Iterator[tuple[str, HTTPResponse]]:
    """The path that curl is to ask for, and the response."""
    _, *options, url = shlex.split(command)
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}".rstrip("?")
    headers = {"Range": f"bytes={options[1]}"} if options[:1] == ["-r"] else {}
    connection = HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request("GET", path, headers=headers)
        yield path, connection.getresponse()
    finally:
        connection.close()


@pytest.mark.parametrize(("server", "requests"), STARTS, ids=[server for server, _ in STARTS])
def test_what_the_readme_starts_answers_what_it_asks(server: str, requests: list[str]) -> None:
    with started(server) as served:
        for request in requests:
            with asked(request, served.port) as (path, response):
                assert response.status == (206 if "-r" in request else 200)
                body = b""
                while len(body) < len(BODIES[path]):
                    # A heartbeat may come before the first event.
                    body += response.read1().removeprefix(b": heartbeat\n\n")
                assert body == BODIES[path]


def test_each_framework_is_started() -> None:
    assert [server for server, _ in STARTS] == [
        "flask --app flask_events run",
        "uvicorn django_events:application",
        "uvicorn fastapi_events:app",
        "flask --app flask_orders run",
    ]
