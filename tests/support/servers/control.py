"""A port beside the server's, where an application tells of itself and lets a stream speak.

Not through the server, as some answer nobody else while they stream.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable

import msgspec
from prometheus_client import REGISTRY
from servers.state import Account, Letter, State

__all__ = ["accounts", "loops", "mailboxes"]

accounts: dict[str, Account] = {}
mailboxes: dict[str, Callable[[str | None], object]] = {}
loops: set[asyncio.AbstractEventLoop] = set()


def _serve(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as file:
            letter = msgspec.json.decode(file.readline(), type=Letter | None)
            file.write(msgspec.json.encode(_state() if letter is None else _deliver(letter)))
            file.flush()
            # A process that was forked meanwhile holds it open, too.
            connection.shutdown(socket.SHUT_WR)


def _deliver(letter: Letter) -> bool:
    if letter.stream not in mailboxes:
        return False
    mailboxes[letter.stream](letter.text)
    return True


def _state() -> State:
    return State(
        pid=os.getpid(),
        active=int(_total("stream_active")),
        sent=int(_total("stream_bytes_total")),
        threads=[thread.name for thread in threading.enumerate()],
        tasks=sum(len(asyncio.all_tasks(loop)) for loop in loops),
        accounts=accounts,
    )


def _total(name: str) -> float:
    metrics = REGISTRY.collect()
    return sum(s.value for metric in metrics for s in metric.samples if s.name == name)


_listener = socket.create_server(("127.0.0.1", int(os.environ["TEST_CONTROL"])))
threading.Thread(target=_serve, args=(_listener,), name="control", daemon=True).start()
