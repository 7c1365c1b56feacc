"""Clients that leave: each costs one closed source and nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

from servers.bodies import BODIES, Body
from servers.harness import Server, until

PROMISED = 1.0
"""Seconds within which the next request is answered and the source is closed."""


def answered_and_closed(server: Server, name: str) -> float:
    """Seconds until the next request was answered. Raises AssertionError past what is promised."""
    left_at = time.monotonic()
    with server.client() as client:
        client.get("/state")
        answered = time.monotonic() - left_at
    assert answered < PROMISED
    until(lambda: server.account(name).closed == 1, PROMISED - answered)
    return answered


def test_a_busy_source_whose_client_resets(
    server: Server, body: Body, source: str, name: str
) -> None:
    client = server.client()
    # Endless, and never waiting for anything but room.
    response = client.get(body.path, name=name, source=source, **body.query)
    response.read(1 << 20)
    client.reset()
    answered = answered_and_closed(server, name)
    print(f"{server.row}, {source} {body}: next request answered in {answered * 1000:.1f} ms")
    account = server.account(name)
    assert account.told is not None
    # One buffer, and one element in hand.
    assert account.given - account.told <= body.capacity + 1
    # Servers let a client who is gone be written to, without ever waiting.
    assert account.burst <= body.capacity
    assert (account.begun, account.ended, account.closed) == (1, 1, 1)


def test_a_busy_stream_that_drops_and_whose_client_resets(
    server: Server, source: str, name: str
) -> None:
    client = server.client(receive_buffer=1 << 16)
    client.get("/sse", name=name, source=source, width=4096)
    # By then nobody takes any more of them.
    until(lambda: server.account(name).given > 20_000)
    client.reset()
    answered_and_closed(server, name)


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


def test_two_hundred_clients_that_vanish(beating_server: Server, name: str) -> None:
    server = beating_server
    for source in ("sync", "async"):
        server.get("/sse", name=f"{name}-{source}", source=source, count=1)
    before = settled(server)

    def vanish(n: int) -> None:
        random = Random(n)
        path, query = random.choice(
            [*((body.path, body.query) for body in BODIES), ("/letters", {})]
        )
        # A silent sync source is a case of its own: see above.
        source = "async" if path == "/letters" else random.choice(["sync", "async"])
        client = server.client()
        response = client.get(path, name=f"{name}-{n}", source=source, **query)
        most = 50 if path == "/letters" else 1_000_000
        response.read(random.choice([0, 1, random.randrange(most)]))
        random.choice([client.close, client.reset])()

    with ThreadPoolExecutor(32) as pool:
        for _ in pool.map(vanish, range(200)):
            pass
    until(lambda: settled(server) == before)
    accounts = server.state().accounts
    for n in range(200):
        account = accounts[f"{name}-{n}"]
        assert (account.begun, account.ended, account.closed) in ((1, 1, 1), (0, 0, 1))


def settled(server: Server) -> tuple[int, list[str], int]:
    """What clients that left must leave as it was."""
    state = server.state()
    return state.active, sorted(state.threads), state.tasks
