"""What reaches a client that stays."""

import re
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from itertools import cycle, islice, product

from servers.bodies import BODIES, PIECE, Body, with_dropped
from servers.client import block, target
from servers.harness import Server, until

OWN_HEADERS = {
    "content-type",
    "content-disposition",
    "content-length",
    "cache-control",
    "x-accel-buffering",
}


def assert_same(received: bytes, expected: bytes) -> None:
    """Apart from heartbeats, one of which opens a stream whose first event takes its time."""
    received = received.replace(b": heartbeat\n\n", b"")
    # Megabytes are not for people to compare.
    same = received == expected
    assert same, f"{len(received)} bytes, which are not the {len(expected)} expected"


def event(response: HTTPResponse) -> bytes:
    """The next event of a stream, whatever comments come before it."""
    while (found := block(response)).startswith(b":"):
        pass
    return found


def test_every_byte_arrives(server: Server, body: Body, source: str, name: str) -> None:
    with server.client() as client:
        response = client.get(body.path, name=name, source=source, count=1000, **body.query)
        assert response.status == 200
        assert_same(response.read(), body.whole(1000))
    until(lambda: server.account(name).closed == 1)
    account = server.account(name)
    assert (account.begun, account.given, account.ended) == (1, 1000, 1)


def test_a_download_of_a_known_size_says_so_and_is_whole(
    server: Server, source: str, name: str
) -> None:
    size = 10 * PIECE
    with server.client() as client:
        response = client.get("/download", name=name, source=source, count=10, size=size)
        assert response.getheader("Content-Length") == str(size)
        assert response.getheader("Transfer-Encoding") is None
        assert len(response.read()) == size


def test_head_has_the_headers_of_get_and_does_not_start_the_source(
    server: Server, body: Body, source: str, name: str
) -> None:
    """The same headers, no body, and a source that is closed without having been started."""
    with server.client() as client:
        response = client.get(body.path, name=f"{name}-get", source=source, count=1, **body.query)
        expected = {k.lower(): v for k, v in response.getheaders() if k.lower() in OWN_HEADERS}
    asked = target(body.path, name=name, source=source, count=1, **body.query)
    with server.connect() as connection:
        connection.sendall(
            f"HEAD {asked} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        with connection.makefile("rb") as received:
            head, _, rest = received.read().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines)
    assert " 200" in status
    assert {k.lower(): v for k, v in headers.items() if k.lower() in OWN_HEADERS} == expected
    assert rest == server.row.head_rest
    until(lambda: server.account(name).closed == 1)
    assert server.account(name).begun == 0


def test_an_idle_stream_delivers_each_event_at_once(server: Server, source: str, name: str) -> None:
    with server.client() as client:
        response = client.get("/letters", name=name, source=source)
        for text in ("one", "two", "three"):
            server.tell(name, text)
            assert event(response) == f"data: {text}\n\n".encode()
        server.tell(name, None)
        assert event(response) == b""


def test_the_head_of_a_silent_stream_arrives_at_once(
    server: Server, source: str, name: str
) -> None:
    """Long before the first heartbeat is due, which is after 30 seconds."""
    with server.client() as client:
        response = client.get("/letters", name=name, source=source)
        assert response.getheader("Content-Type") == "text/event-stream"
        server.tell(name, None)


def test_a_silent_stream_has_heartbeats(beating_server: Server, source: str, name: str) -> None:
    with beating_server.client() as client:
        response = client.get("/letters", name=name, source=source)
        for _ in range(3):
            assert block(response) == b": heartbeat\n\n"
        beating_server.tell(name, "after")
        assert event(response) == b"data: after\n\n"
        beating_server.tell(name, None)
        assert event(response) == b""


def test_a_fast_reader_of_a_source_that_never_pauses_gets_everything(
    server: Server, source: str, name: str
) -> None:
    (events,) = (body for body in BODIES if body.path == "/sse")
    received = server.get("/sse", name=name, source=source, count=200_000)
    assert_same(received, events.whole(200_000))


def test_a_reader_that_stops_and_comes_back_is_told_what_it_missed(
    server: Server, source: str, name: str
) -> None:
    # More than any server and kernel keep for a client.
    made, width = 20_000, 4096
    with server.client(receive_buffer=PIECE) as client:
        response = client.get("/sse", name=name, source=source, count=made, width=width)
        until(lambda: server.account(name).ended == 1)
        *blocks, rest = response.read().split(b"\n\n")
    assert rest == b""
    accounted_for = since_gap = gaps = 0
    for found in blocks:
        if dropped := re.fullmatch(rb": dropped (\d+)", found):
            accounted_for += int(dropped[1])
            gaps += 1
            since_gap = 0
        else:
            assert found == f"data: {f'{accounted_for}'.ljust(width, '.')}".encode()
            accounted_for += 1
            since_gap += 1
    assert accounted_for == made
    if server.row.holds_up:
        assert gaps >= 1
        assert since_gap == 64
    else:
        # The server kept all of it.
        assert gaps == 0


def test_fifty_streams_at_once_are_whole(server: Server, name: str) -> None:
    streams = [
        (body, source, f"{name}-{n}")
        for n, (body, source) in enumerate(islice(cycle(product(BODIES, server.row.sources)), 50))
    ]

    def read(stream: tuple[Body, str, str]) -> bytes:
        body, source, name = stream
        return server.get(body.path, name=name, source=source, count=300, **body.query)

    with ThreadPoolExecutor(len(streams)) as pool:
        for (body, _, _), received in zip(streams, pool.map(read, streams), strict=True):
            if body.path == "/sse":
                received = with_dropped(received)
            assert_same(received, body.whole(300))
