"""Channels on real servers: threads, greenlets and loops, and a thread that publishes."""

import re
import signal
from contextlib import ExitStack
from http.client import HTTPResponse

import psutil
import pytest
from servers.client import Client, block, read_to_end
from servers.ending import Ending
from servers.harness import ROWS, Row, Server, until

EVENTS = 20


def event(response: HTTPResponse) -> str:
    """The next event of a stream, whatever comments come before it."""
    while (found := block(response)).startswith(b":"):
        pass
    return found.decode()


def position(subscribed: str) -> str:
    found = re.fullmatch(r"event: subscribed\ndata: \{\}\nid: (\d+-\d+)\n\n", subscribed)
    assert found, subscribed
    return found[1]


def subscribe(server: Server, clients: ExitStack, name: str, count: int) -> list[HTTPResponse]:
    """So many clients, each of which was told where it begins."""
    asking: list[Client] = []
    for _ in range(count):
        asking.append(clients.enter_context(server.client()))
        asking[-1].ask("/channel", name=name)
    responses = [client.read_head() for client in asking]
    assert len({position(event(response)) for response in responses}) == 1
    return responses


def test_every_subscriber_gets_every_event(server: Server, name: str) -> None:
    active = server.state().active
    with ExitStack() as clients:
        responses = subscribe(server, clients, name, min(server.row.streams, 100))
        for number in range(EVENTS):
            server.tell(name, f"{number}")
        for response in responses:
            events = [event(response) for _ in range(EVENTS)]
            assert [each.split("\n")[0] for each in events] == [f"data: {n}" for n in range(EVENTS)]
            numbers = [int(each.rstrip().rpartition("-")[2]) for each in events]
            assert numbers == [*range(numbers[0], numbers[0] + EVENTS)]
    until_all_have_left(server, name, active)


def until_sent(server: Server, size: int) -> None:
    until(lambda: server.state().sent >= size)


def until_all_have_left(server: Server, name: str, active: int) -> None:
    """Some servers find out by what they send."""

    def are_gone() -> bool:
        server.tell(name, "is there anybody?")
        return server.state().active <= active

    until(are_gone)
    # That of other tests' async sources is there for as long as the process is.
    assert {*server.state().own_threads()} <= {"streamkit-loop"}


def test_a_client_that_comes_back_gets_what_it_missed(server: Server, name: str) -> None:
    with server.client() as client:
        begin = position(event(client.get("/channel", name=name)))
    server.tell(name, "one")
    server.tell(name, "two")
    with server.client() as client:
        response = client.get("/channel", name=name, lastEventId=begin)
        first = event(response)
        assert first.startswith("data: one\n")
        assert event(response).startswith("data: two\n")
    with server.client() as client:
        client.ask("/channel", name=name, lastEventId=first.rstrip().rpartition("id: ")[2])
        assert event(client.read_head()).startswith("data: two\n")
    with server.client() as client:
        response = client.get("/channel", name=name, lastEventId="7-7")
        assert event(response).startswith('event: gap\ndata: {"missed":null}\n')


@pytest.mark.parametrize("row", [row for row in ROWS if row.server != "uwsgi"], ids=str)
def test_subscribers_are_told_when_to_come_back(row: Row) -> None:
    options = "--request-queue-size 50" if row.server == "cheroot" else ""
    with Ending(row, options) as server, ExitStack() as clients:
        responses = subscribe(server, clients, "channel", min(row.streams, 50))
        server.send(signal.SIGTERM)
        for response in responses:
            body = response.read().replace(b": heartbeat\n\n", b"")
            assert re.fullmatch(rb"retry: \d+\n\n", body), body
        server.wait()
        assert "Traceback" not in server.errors()


def test_two_hundred_threads_of_gunicorn_all_see_each_event_and_rest_otherwise() -> None:
    (row,) = (row for row in ROWS if row.server == "gunicorn-gthread")
    with Server(row, "--threads 210") as server, ExitStack() as clients:
        responses = subscribe(server, clients, "channel", 200)
        worker = psutil.Process(server.state().pid)
        for number in range(50):
            server.tell("channel", f"{number}")
        for response in responses:
            for number in range(50):
                assert event(response).startswith(f"data: {number}\n")
        used = sum(worker.cpu_times()[:2])
        assert worker.cpu_percent(1.0) < 50
        print(f"{sum(worker.cpu_times()[:2]) - used:.2f} s of processor in a second of silence")


TAKES_ALL = ("daphne", "waitress", "waitress-lookahead")
"""Servers that keep what their client does not read, and so let nobody fall behind."""

WITH_TRACEBACK = ("granian-wsgi", "uwsgi")
"""Servers to whom also a connection that was reset is an error of the application's."""


def test_who_falls_behind_a_lossless_channel_is_broken_off_in_one_line_of_the_log(
    server: Server, name: str
) -> None:
    row, size, count = server.row, 250_000, 60
    takes_all = row.server in TAKES_ALL
    with server.client(receive_buffer=4096) as client:
        response = client.get("/channel", name=name, lossless=1)
        position(event(response))
        before = server.state().sent
        for number in range(1, count + 1):
            server.tell(name, "x" * size)
            if takes_all:
                # However slow this machine is: the server has it before the next is published.
                until_sent(server, before + number * size)
        client.wait_at_most(0.5 if takes_all else row.failure_seconds)
        received, ending = read_to_end(response)
    assert ending == ("open" if takes_all else row.failure)
    assert (len(received) > count * size) == takes_all
    if row.server in WITH_TRACEBACK:
        server.expect_error("FellBehind")
    elif not takes_all:
        server.expect_error("is broken off: its stream is lossless")
