"""What streams cost while nothing happens."""

from contextlib import ExitStack

import pytest
from servers.harness import Server, until


@pytest.mark.parametrize("source", ["async"])
def test_idle_streams_of_async_sources_need_no_thread(
    server: Server, source: str, name: str
) -> None:
    """Under WSGI, beside those of the server, one for all of them together."""
    count = server.row.streams if server.row.is_async else min(server.row.streams, 20)
    server.get("/sse", name=name, source=source, count=1)
    before = server.state()
    assert len(before.own_threads()) == (0 if server.row.is_async else 1)
    with ExitStack() as clients:
        for n in range(count):
            client = clients.enter_context(server.client())
            client.ask("/letters", name=f"{name}-{n}", source=source)
        until(lambda: server.state().active == before.active + count)
        assert server.state().own_threads() == before.own_threads()
        for n in range(count):
            server.tell(f"{name}-{n}", None)
    until(lambda: server.state().active == before.active)
