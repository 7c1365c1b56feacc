"""What streams cost while nothing happens."""

from contextlib import ExitStack

from servers.harness import Server, until


def test_idle_streams_of_async_sources_need_no_thread(server: Server, name: str) -> None:
    """Under WSGI, beside those of the server, one for all of them together."""
    count = 1000 if server.row.is_async else 20
    server.get("/sse", name=name, source="async", count=1)
    before = server.state()
    own = [thread for thread in before.threads if thread.startswith("streamkit")]
    assert len(own) == (0 if server.row.is_async else 1)
    with ExitStack() as clients:
        for n in range(count):
            client = clients.enter_context(server.client())
            client.get("/letters", name=f"{name}-{n}", source="async")
        until(lambda: server.state().active == before.active + count)
        assert sorted(server.state().threads) == sorted(before.threads)
        for n in range(count):
            server.tell(f"{name}-{n}", None)
    until(lambda: server.state().active == before.active)
