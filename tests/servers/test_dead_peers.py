"""A client whose network is gone: nothing comes from it any more, not even a FIN."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from servers.client import Client, block
from servers.harness import ROWS, Row, Server, until
from servers.network import isolate, run

SERVER, CLIENT = "192.0.2.1", "192.0.2.2"

SERVERS = ("gunicorn-gthread", "uvicorn-h11")


@pytest.mark.parametrize("row", [row for row in ROWS if row.server in SERVERS], ids=str)
def test_a_client_whose_network_is_gone_is_found_by_the_heartbeats(row: Row) -> None:
    """Which nobody acknowledges: for as long as the kernel, or streamkit, puts up with that."""
    with ThreadPoolExecutor(1) as here, ThreadPoolExecutor(1) as there:
        here.submit(isolate).result()
        network = f"/proc/{os.getpid()}/task/{there.submit(isolate).result()}/ns/net"
        for command in (
            f"ip link add here type veth peer name there netns {network}",
            f"ip address add {SERVER}/30 dev here",
            "ip link set here up",
            # Instead of a quarter of an hour.
            "sysctl -q net.ipv4.tcp_retries2=2",
        ):
            here.submit(run, command).result()
        for command in (f"ip address add {CLIENT}/30 dev there", "ip link set there up"):
            there.submit(run, command).result()
        here.submit(lose_client, row, there).result()


def lose_client(row: Row, there: ThreadPoolExecutor) -> None:
    everywhere = replace(row, command=row.command.replace("{host}", "0.0.0.0"))
    environment = {"TEST_HEARTBEAT": "0.2", "TEST_MAX_STALL": "1"}
    with Server(everywhere, environment=environment) as server:
        address = (SERVER, int(server.origin.rpartition(":")[2]))
        with Client(there.submit(socket.create_connection, address).result(), {}) as client:
            response = client.get("/letters", name="lost", source="async")
            assert block(response) == b": heartbeat\n\n"
            lost_at = time.monotonic()
            there.submit(run, "ip link set there down").result()
            until(lambda: server.account("lost").closed == 1)
        print(f"{row}: found in {time.monotonic() - lost_at:.1f} s")
