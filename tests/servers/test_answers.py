"""Resumable answers on real servers: threads, greenlets and loops."""

import re

from servers.client import Client, block, read_to_end
from servers.harness import Server, until


def event(client: Client) -> bytes:
    response = client.read_head()
    while (found := block(response)).startswith(b":"):
        pass
    return found


def data_of(body: bytes) -> list[bytes]:
    return re.findall(rb"(?m)^data: (.*)$", body)


def test_who_leaves_gets_the_rest_when_it_is_back(server: Server, source: str, name: str) -> None:
    with server.client() as client:
        client.ask("/answer", name=name, source=source)
        server.tell(name, "one")
        first = event(client)
    found = re.fullmatch(rb"data: one\nid: (\d+-1-1)\n\n", first)
    assert found, first
    server.tell(name, "two")
    with Client(server.connect(), {"Last-Event-ID": found[1].decode()}) as client:
        client.ask("/follow", name=name)
        server.tell(name, "three")
        server.tell(name, None)
        body, ending = read_to_end(client.read_head())
    assert (data_of(body), ending) == ([b"two", b"three"], "complete")
    assert data_of(server.get("/follow", name=name)) == [b"one", b"two", b"three"]
    until(lambda: server.account(name).closed == 1)
    account = server.account(name)
    assert (account.begun, account.given, account.ended) == (1, 3, 1)
