"""Clients that leave: each costs one closed source and nothing else."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from servers.bodies import BODIES, PIECE, Body
from servers.client import Client, block, target
from servers.harness import ROWS, WAIT, Row, Server, until
from servers.state import State
from servers.tls import client_context, make_certificate

LATE = 5.0
"""Seconds within which the next request is answered and the source is closed.

What is promised is 0.1 under ASGI and 1 under WSGI, but not on a machine that is busy otherwise.
"""

LEAVINGS = pytest.mark.parametrize("leave", [Client.close, Client.reset], ids=["fin", "rst"])

HEARTBEAT = b": heartbeat\n\n"


def answered(server: Server) -> float:
    """Seconds until the next request is. Raises AssertionError if that is late."""
    if server.row.streams == 1:
        return 0.0
    asked_at = time.monotonic()
    server.get("/export", name="answered", source="sync", format="json", count=1)
    seconds = time.monotonic() - asked_at
    assert seconds < LATE
    return seconds


def until_closed(server: Server, name: str, left_at: float) -> None:
    # Waitress may be busy with 16 MiB of its own, daphne with all that it was given.
    seconds = LATE if server.row.is_async and server.row.holds_up else WAIT
    until(lambda: server.account(name).closed == 1, left_at + seconds - time.monotonic())


def until_told(server: Server, name: str) -> float:
    """Seconds until the server tells that the client of a silent stream left."""
    asked_at = time.monotonic()
    try:
        until(lambda: server.account(name).told is not None)
    except AssertionError as error:
        # What is still sent to it, the server has taken; what is not active has left by itself.
        state = server.state()
        error.add_note(f"{server.row}: {server.account(name)}, {state.active=}, {state.sent=}")
        raise
    return time.monotonic() - asked_at


def until_a_silent_source_closes(server: Server, source: str, name: str) -> None:
    if source == "sync":
        # Nothing can wake a thread that is inside of the user's code.
        assert server.account(name).closed == 0
        server.tell(name, "too late")
    until(lambda: server.account(name).closed == 1)


@LEAVINGS
@pytest.mark.parametrize("body", [BODIES[0], BODIES[1], BODIES[3]], ids=str)
def test_a_busy_source_whose_client_leaves_is_closed(
    server: Server, body: Body, source: str, name: str, leave: Callable[[Client], None]
) -> None:
    client = server.client()
    # Endless, and never waiting for anything but room.
    response = client.get(body.path, name=name, source=source, **body.query)
    response.read(1 << 20)
    leave(client)
    left_at = time.monotonic()
    next_answer = answered(server)
    until_closed(server, name, left_at)
    closed = time.monotonic() - left_at
    print(
        f"{server.row}, {source} {body}: answers in {next_answer:.3f} s, closed in {closed:.3f} s"
    )
    account = server.account(name)
    assert account.told is not None
    # The buffer is filled again until whoever is told, under Django its own task, has its turn.
    assert account.given - account.told <= 3 * body.capacity
    # Servers let a client who is gone be written to, without ever waiting.
    assert account.burst <= body.capacity
    assert (account.begun, account.ended, account.closed) == (1, 1, 1)


def test_a_busy_source_whose_client_is_stuck_and_then_resets_is_closed(
    server: Server, source: str, name: str
) -> None:
    """It drops without ever waiting, and holds up nobody else."""
    client = server.client(receive_buffer=PIECE)
    client.get("/sse", name=name, source=source, width=4096)
    # By then nobody takes any more of them.
    until(lambda: server.account(name).given > 20_000)
    if server.row.holds_up:
        slowest = max(answered(server) for _ in range(50))
        print(f"{server.row}, {source}: slowest of 50 answers in {slowest * 1000:.1f} ms")
    client.reset()
    until_closed(server, name, time.monotonic())


@LEAVINGS
def test_a_silent_source_whose_client_leaves_is_closed(
    server: Server, source: str, name: str, leave: Callable[[Client], None]
) -> None:
    """Long before a heartbeat, which is due after 30 seconds, could find that out."""
    client = server.client()
    assert client.get("/letters", name=name, source=source).status == 200
    until(lambda: server.account(name).begun == 1)
    leave(client)
    if server.row.heartbeats:
        with pytest.raises(AssertionError):
            until(lambda: server.account(name).told is not None, 1.0)
        server.tell(name, None)
        until(lambda: server.account(name).closed == 1)
    else:
        print(f"{server.row}, {source}: told in {until_told(server, name):.3f} s")
        until_a_silent_source_closes(server, source, name)


@LEAVINGS
@pytest.mark.parametrize("unread", ["body", "request"])
def test_bytes_that_nobody_reads_do_not_pass_for_a_client(
    server: Server, name: str, unread: str, leave: Callable[[Client], None]
) -> None:
    """A body that the view has not read, and a request behind the one that is answered."""
    source = server.row.sources[-1]
    client = server.client()
    if unread == "body":
        # More than any server reads along with a head, and less than the kernel takes for it.
        client.post("/letters", bytes(PIECE // 2), name=name, source=source)
    else:
        client.ask("/letters", name=name, source=source)
    assert block(client.read_head()) == HEARTBEAT
    if unread == "request":
        behind = target("/export", name=f"{name}-behind", source=source, format="json", count=0)
        client.send(f"GET {behind} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    leave(client)
    print(f"{server.row}, {unread}: told in {until_told(server, name):.3f} s")
    until_a_silent_source_closes(server, source, name)


TLS = {
    "gunicorn-gthread": "--certfile {} --keyfile {}",
    "gunicorn-gevent": "--certfile {} --keyfile {}",
    "werkzeug": "--cert {} --key {}",
}
"""Of the servers that let an adapter look at the client: how they are told to speak TLS."""


@pytest.mark.parametrize("row", [row for row in ROWS if row.server in TLS], ids=str)
def test_the_goodbye_of_tls_does_not_pass_for_a_client(row: Row, name: str, tmp_path: Path) -> None:
    options = TLS[row.server].format(*make_certificate(tmp_path))
    source = row.sources[-1]
    with Server(row, options) as server:
        client = Client(client_context().wrap_socket(server.connect()), {})
        assert block(client.get("/letters", name=name, source=source)) == HEARTBEAT
        client.close()
        print(f"{row}, TLS: told in {until_told(server, name):.3f} s")
        until_a_silent_source_closes(server, source, name)


@LEAVINGS
def test_heartbeats_find_out_that_a_client_left(
    beating_server: Server, source: str, name: str, leave: Callable[[Client], None]
) -> None:
    server = beating_server
    client = server.client()
    response = client.get("/letters", name=name, source=source)
    assert block(response) == HEARTBEAT
    sent = server.state().sent
    leave(client)
    until_told(server, name)
    heartbeats = (server.state().sent - sent) // len(HEARTBEAT)
    print(f"{server.row}, {source}: told at heartbeat {heartbeats}")
    # Without a look at the client it takes two. One may have been sent while it was leaving.
    assert heartbeats <= max(server.row.heartbeats, 2) + 1
    until_a_silent_source_closes(server, source, name)


def test_many_clients_that_vanish_leave_nothing_behind(beating_server: Server) -> None:
    """And some more, who do not even wait for the head of their response."""
    server = beating_server
    count = 200 if server.row.is_async else 50
    for source in server.row.sources:
        server.get("/sse", name=source, source=source, count=1)
    before = server.state()
    with ThreadPoolExecutor(32) as pool:
        numbers = Random(0).sample(range(count * 5 // 4), count * 5 // 4)
        for _ in pool.map(lambda n: vanish(server, n, waits=n < count), numbers):
            pass
    until(lambda: is_as_before(server.state(), before))
    accounts = server.state().accounts
    assert accounts.keys() >= {f"{n}" for n in range(count)}
    for account in accounts.values():
        assert (account.begun, account.closed) in ((1, 1), (0, 1))
        assert account.ended == account.begun


def vanish(server: Server, n: int, *, waits: bool) -> None:
    random = Random(n)
    path, query = random.choice([*((body.path, body.query) for body in BODIES), ("/letters", {})])
    # A silent sync source is a case of its own: see above.
    source = "async" if path == "/letters" else random.choice(["sync", "async"])
    if source not in server.row.sources:
        path, query, source = "/download", {}, "sync"
    client = server.client()
    if waits:
        response = client.get(path, name=n, source=source, **query)
        most = 50 if path == "/letters" else 1_000_000
        response.read(random.choice([0, 1, random.randrange(most)]))
    else:
        client.ask(path, name=n, source=source, **query)
    random.choice([client.close, client.reset])()


def is_as_before(state: State, before: State) -> bool:
    return (
        state.active == before.active
        and state.own_threads() == before.own_threads()
        # Of the server's own there may be less.
        and state.tasks <= before.tasks
    )
