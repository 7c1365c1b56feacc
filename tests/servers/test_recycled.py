"""Workers that their server replaces by new ones, while an event stream is open."""

import re
import time
from dataclasses import replace

import pytest
from servers.ending import Ending
from servers.harness import ROWS, Row

LATE = 10.0
"""Seconds within which a worker that is done has let go of its streams, and another answers.

It is looked at once a second, and gunicorn looks at its workers as often. Without that a stream is
broken off after 30 seconds, or never.
"""

OPTIONS = {
    # Here the stream counts as one.
    "gunicorn-gthread": "--max-requests 4",
    "gunicorn-gevent": "--max-requests 4",
    # Of uvloop nothing can be seen.
    "gunicorn-asgi": "--max-requests 3 --asgi-loop asyncio",
    "uvicorn-h11": "--limit-max-requests 3",
}
"""A worker is done after three requests beside a stream."""


def recycled() -> list[Row]:
    """With time for a stream that is not told to end."""
    rows = [row for row in ROWS if row.server in OPTIONS]
    return [replace(row, command=row.command.replace("--graceful-timeout 1", "")) for row in rows]


@pytest.mark.parametrize("row", recycled(), ids=str)
def test_streams_of_a_worker_that_is_replaced_are_told_when_to_come_back(row: Row) -> None:
    source = row.sources[-1]
    with Ending(row, OPTIONS[row.server]) as server, server.client() as client:
        client.wait_at_most(LATE)
        stream = client.get("/letters", name="stream", source=source)
        for n in range(3):
            server.get("/export", name=f"{n}", source=source, format="json", count=1)
        done_at = time.monotonic()
        body = stream.read().replace(b": heartbeat\n\n", b"")
        found = re.fullmatch(rb"retry: (\d+)\n\n", body)
        assert found, body
        assert 1000 <= int(found[1]) <= 10_000
        seconds = time.monotonic() - done_at
        assert "Traceback" not in server.errors()
    print(f"{row}: ended in {seconds:.2f} s")
