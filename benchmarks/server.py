"""Real servers, each in a process of its own, and a client that does less than they do."""

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import psutil
import uvicorn
import waitress
from uvicorn.protocols.http.auto import AutoHTTPProtocol

__all__ = [
    "UVICORN",
    "WAITRESS",
    "Server",
    "largest",
    "read_all",
    "run_uvicorn",
    "run_waitress",
    "serving",
]

UVICORN: Final = f"uvicorn {uvicorn.__version__} ({AutoHTTPProtocol.__name__})"
WAITRESS: Final = f"waitress {version('waitress')}"

HEAD_MARKS: Final = 3
"""A head may have a mark or two as well."""

RECEIVED_AT_ONCE: Final = 256 * 1024
"""Bytes."""


class Server(NamedTuple):
    address: tuple[str, int]
    pid: int


def run_uvicorn(app: Any, listener: socket.socket) -> None:
    config = uvicorn.Config(app, lifespan="off", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


def run_waitress(app: Any, listener: socket.socket) -> None:
    waitress.serve(app, sockets=[listener], _quiet=True)


@contextmanager
def serving(run: Callable[[Any, socket.socket], None], app: Any) -> Iterator[Server]:
    """Run a server with ``app``, a function of a module, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("spawn").Process(target=run, args=(app, listener))
        process.start()
        address = listener.getsockname()
    assert process.pid
    try:
        yield Server(address, process.pid)
    finally:
        process.terminate()
        process.join()


def read_all(
    server: Server,
    path: str,
    elements: int,
    mark: bytes = b"}",
    look: Callable[[], object] | None = None,
) -> None:
    """Read what answers ``path`` to its end, and ``look`` each time that something has come.

    Raises RuntimeError if there are not as many ``elements`` in it, each with one ``mark``; of
    events this client misses some if the machine is too busy to let it read.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = bytearray(RECEIVED_AT_ONCE)
    found = 0
    with socket.create_connection(server.address) as connection:
        connection.sendall(request.encode())
        while size := connection.recv_into(received):
            found += received.count(mark, 0, size)
            if look:
                look()
    if not 0 <= found - elements <= HEAD_MARKS:
        raise RuntimeError(f"{found:,} elements came from {path}")


def largest(server: Server, path: str, elements: int, mark: bytes) -> int:
    """The bytes of memory that ``server`` had at most while it answered ``path``."""
    process = psutil.Process(server.pid)
    seen: list[int] = []
    read_all(server, path, elements, mark, lambda: seen.append(process.memory_info().rss))
    return max(seen)
