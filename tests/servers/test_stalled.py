"""Clients that take nothing of what they are sent, and keep their connection open all the same."""

import pytest
from servers.bodies import PIECE
from servers.harness import ROWS, Row, Server, until

# As Werkzeug does; the others under WSGI do not: see docs/reliability.md.
GIVE_SOCKETS = ("gunicorn-gthread", "gunicorn-gevent")

ASGI = ("uvicorn-h11", "hypercorn", "granian-asgi")


@pytest.mark.parametrize("row", [row for row in ROWS if row.server in GIVE_SOCKETS + ASGI], ids=str)
def test_a_client_that_takes_nothing_is_given_up(row: Row) -> None:
    """Here after a third of a second, and otherwise after two minutes, or an hour."""
    with Server(row, environment={"TEST_MAX_REST": "0.3"}) as server:
        with server.client(receive_buffer=PIECE) as client:
            client.get("/download", name="stalled", source="sync")
            until(lambda: server.account("stalled").closed == 1)
        account = server.account("stalled")
        assert (account.begun, account.ended) == (1, 1)
        assert server.get("/export", name="other", source="sync", format="json", count=1)
