"""``flask run --debug``, whose debugger ends a body that failed by a page of its own."""

import pytest
from servers.bodies import BODIES, Body
from servers.client import read_to_end
from servers.harness import ROWS, Row, Server


@pytest.mark.parametrize("row", [row for row in ROWS if row.server == "werkzeug"], ids=str)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_source_that_fails_midway_breaks_the_body_off(row: Row, body: Body, version: str) -> None:
    """Before the page of the debugger, which comes into the log."""
    with (
        Server(row, "--debug --no-reload") as server,
        server.client(version=version) as client,
    ):
        query = {"name": "debugged", "source": "sync", "count": 10, **body.query}
        received, ending = read_to_end(client.get(body.path, fails=1, **query))
        assert received == body.parts(10)
        assert ending == "broken"
        server.expect_error("RuntimeError: the source failed")
        account = server.account("debugged")
        assert (account.begun, account.ended, account.closed) == (1, 1, 1)
