"""Real servers, each in a process of its own, and a client that does less than they do."""

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final

import uvicorn
import waitress
from uvicorn.protocols.http.auto import AutoHTTPProtocol

__all__ = ["UVICORN", "WAITRESS", "Address", "read_all", "run_uvicorn", "run_waitress", "serving"]

UVICORN: Final = f"uvicorn {uvicorn.__version__} ({AutoHTTPProtocol.__name__})"
WAITRESS: Final = f"waitress {version('waitress')}"

RECEIVED_AT_ONCE: Final = 256 * 1024
"""Bytes."""

Address = tuple[str, int]


def run_uvicorn(app: Any, listener: socket.socket) -> None:
    config = uvicorn.Config(app, lifespan="off", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


def run_waitress(app: Any, listener: socket.socket) -> None:
    waitress.serve(app, sockets=[listener], _quiet=True)


@contextmanager
def serving(run: Callable[[Any, socket.socket], None], app: Any) -> Iterator[Address]:
    """Run a server with ``app``, a function of a module, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("spawn").Process(target=run, args=(app, listener))
        process.start()
        address: Address = listener.getsockname()
    try:
        yield address
    finally:
        process.terminate()
        process.join()


def read_all(address: Address, path: str, elements: int) -> None:
    """Read what answers ``path`` to its end.

    Raises RuntimeError if there are not as many ``elements`` in it, each with one closing brace;
    of events this client misses some if the machine is too busy to let it read.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = bytearray(RECEIVED_AT_ONCE)
    found = 0
    with socket.create_connection(address) as connection:
        connection.sendall(request.encode())
        while size := connection.recv_into(received):
            found += received.count(b"}", 0, size)
    if found != elements:
        raise RuntimeError(f"{found:,} elements came from {path}")
