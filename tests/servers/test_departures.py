"""Clients that leave: each costs one closed source and nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

from servers.bodies import BODIES, PIECE, Body
from servers.harness import WAIT, Row, Server, until
from servers.state import State

PROMISED = 1.0
"""Seconds within which the next request is answered and the source is closed."""


def answered(server: Server) -> float:
    """Seconds until the next request is. Raises AssertionError past what is promised."""
    asked_at = time.monotonic()
    with server.client() as client:
        client.get("/state")
        seconds = time.monotonic() - asked_at
    assert seconds < PROMISED
    return seconds


def until_closed(server: Server, name: str, left_at: float) -> None:
    # Under WSGI a server tells when it gets to it: waitress may be busy with 16 MiB of its own.
    seconds = PROMISED if server.row.is_async else WAIT
    until(lambda: server.account(name).closed == 1, left_at + seconds - time.monotonic())


def test_a_busy_source_whose_client_resets(
    server: Server, body: Body, source: str, name: str
) -> None:
    client = server.client()
    # Endless, and never waiting for anything but room.
    response = client.get(body.path, name=name, source=source, **body.query)
    response.read(1 << 20)
    client.reset()
    left_at = time.monotonic()
    print(f"{server.row}, {source} {body}: next answer in {answered(server) * 1000:.1f} ms")
    until_closed(server, name, left_at)
    account = server.account(name)
    assert account.told is not None
    # One buffer, and one element in hand.
    assert account.given - account.told <= body.capacity + 1
    # Servers let a client who is gone be written to, without ever waiting.
    assert account.burst <= body.capacity
    assert (account.begun, account.ended, account.closed) == (1, 1, 1)


def test_a_busy_source_whose_client_is_stuck_and_then_resets(
    server: Server, source: str, name: str
) -> None:
    """It drops without ever waiting, and holds up nobody else."""
    client = server.client(receive_buffer=PIECE)
    client.get("/sse", name=name, source=source, width=4096)
    # By then nobody takes any more of them.
    until(lambda: server.account(name).given > 20_000)
    slowest = max(answered(server) for _ in range(50))
    print(f"{server.row}, {source}: slowest of 50 answers in {slowest * 1000:.1f} ms")
    client.reset()
    left_at = time.monotonic()
    answered(server)
    until_closed(server, name, left_at)


def test_a_silent_async_source_whose_client_leaves(beating_server: Server, name: str) -> None:
    with beating_server.client() as client:
        client.get("/letters", name=name, source="async")
        until(lambda: beating_server.account(name).begun == 1)
    until(lambda: beating_server.account(name).closed == 1)


def test_a_silent_sync_source_closes_when_it_gives_its_next_element(
    beating_server: Server, name: str
) -> None:
    active = beating_server.state().active
    with beating_server.client() as client:
        client.get("/letters", name=name, source="sync")
        until(lambda: beating_server.account(name).begun == 1)
    # Nothing can wake a thread that is inside of the user's code.
    until(lambda: beating_server.account(name).told is not None)
    assert beating_server.account(name).closed == 0
    beating_server.tell(name, "too late")
    until(lambda: beating_server.account(name).closed == 1)
    until(lambda: beating_server.state().active == active)


def test_two_hundred_clients_that_vanish(row: Row) -> None:
    """And fifty more, who do not even wait for the head of their response."""
    with Server(row, environment={"TEST_HEARTBEAT": "0.1"}) as server:
        for source in ("sync", "async"):
            server.get("/sse", name=source, source=source, count=1)
        before = server.state()
        with ThreadPoolExecutor(32) as pool:
            for _ in pool.map(partial(vanish, server), Random(0).sample(range(250), 250)):
                pass
        until(lambda: is_as_before(server.state(), before))
        accounts = server.state().accounts
        assert accounts.keys() >= {f"{n}" for n in range(200)}
        for account in accounts.values():
            assert (account.begun, account.closed) in ((1, 1), (0, 1))
            assert account.ended == account.begun
        assert server.errors() == ""


def vanish(server: Server, n: int) -> None:
    random = Random(n)
    path, query = random.choice([*((body.path, body.query) for body in BODIES), ("/letters", {})])
    # A silent sync source is a case of its own: see above.
    source = "async" if path == "/letters" else random.choice(["sync", "async"])
    client = server.client()
    if n < 200:
        response = client.get(path, name=n, source=source, **query)
        most = 50 if path == "/letters" else 1_000_000
        response.read(random.choice([0, 1, random.randrange(most)]))
    else:
        client.ask(path, name=n, source=source, **query)
    random.choice([client.close, client.reset])()


def is_as_before(state: State, before: State) -> bool:
    return (
        state.active == before.active
        and sorted(state.threads) == sorted(before.threads)
        # Of the server's own there may be less.
        and state.tasks <= before.tasks
    )
