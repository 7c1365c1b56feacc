"""Real servers, each in a process of its own, and a client that does less than they do."""

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
import uvicorn
import waitress
from granian.constants import Interfaces
from granian.server.embed import Server as Granian
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from uvicorn.protocols.http.auto import AutoHTTPProtocol

__all__ = [
    "GRANIAN",
    "GUNICORN",
    "UVICORN",
    "WAITRESS",
    "Server",
    "largest",
    "read_all",
    "run_granian",
    "run_granian_app",
    "run_gunicorn",
    "run_uvicorn",
    "run_waitress",
    "serving",
]

GRANIAN: Final = f"granian {version('granian')}"
GUNICORN: Final = f"gunicorn gthread {version('gunicorn')}"
UVICORN: Final = f"uvicorn {uvicorn.__version__} ({AutoHTTPProtocol.__name__})"
WAITRESS: Final = f"waitress {version('waitress')}"

HEAD_MARKS: Final = 3
"""A head may have a mark or two as well."""

GRACE: Final = 1.0
"""Seconds that a server has to end."""

RECEIVED_AT_ONCE: Final = 256 * 1024
"""Bytes."""


Address = tuple[str, int]


class Server(NamedTuple):
    address: Address
    pid: int


def run_uvicorn(app: Any, address: Address) -> None:
    host, port = address
    uvicorn.run(app, host=host, port=port, lifespan="off", access_log=False, log_level="critical")


def run_waitress(app: Any, address: Address) -> None:
    host, port = address
    waitress.serve(app, host=host, port=port, _quiet=True)


def run_granian(folder: Path, app: Any, address: Address) -> None:
    """By itself it sends the files of ``folder``, where ``/static`` comes before the path."""
    server = Granian(
        app,
        *address,
        interface=Interfaces.ASGINL,
        log_enabled=False,
        static_path_route=[f"/static{folder}"],
        static_path_mount=[folder],
    )
    asyncio.run(server.serve())


def run_granian_app(app: Any, address: Address) -> None:
    server = Granian(app, *address, interface=Interfaces.ASGINL, log_enabled=False)
    asyncio.run(server.serve())


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    def __init__(self, app: Any, address: Address) -> None:
        self._app = app
        self._address = address
        super().__init__()

    def load_config(self) -> None:
        host, port = self._address
        self.cfg.set("bind", f"{host}:{port}")
        self.cfg.set("worker_class", "gthread")
        # A thread for each client, and some for those that have just left.
        self.cfg.set("threads", 400)
        self.cfg.set("loglevel", "critical")
        self.cfg.set("graceful_timeout", 1)
        # It is there for one run alone.
        self.cfg.set("control_socket_disable", True)

    def load(self) -> Any:
        return self._app


def run_gunicorn(app: Any, address: Address) -> None:
    _Gunicorn(app, address).run()


@contextmanager
def serving(run: Callable[[Any, Address], None], app: Any) -> Iterator[Server]:
    """Run a server with ``app``, a function of a module, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address: Address = free.getsockname()
    process = multiprocessing.get_context("spawn").Process(target=run, args=(app, address))
    process.start()
    assert process.pid
    try:
        _wait_for(process, address)
        yield Server(address, process.pid)
    finally:
        process.terminate()
        process.join(GRACE)
        # A live stream that does not look for its client goes on for ever, and its server with it.
        process.kill()
        process.join()


def _wait_for(process: BaseProcess, address: Address) -> None:
    while True:
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            if not process.is_alive():
                raise RuntimeError("the server ended before it listened") from None
            time.sleep(0.01)
        else:
            return


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
