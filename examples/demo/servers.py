"""Both servers of the demo, as threads of one process, or of several."""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EADDRINUSE

import uvicorn
from waitress.server import create_server

from streamkit import channels
from streamkit_adapters import asgi, flask

from .asgi_app import asgi_app
from .board import Board
from .cells import MemoryCells, RedisCells
from .figures import Figures
from .flask_app import flask_app
from .library import Library
from .service import Demo, Server
from .workers import Workers

THREADS = 32
"""Of waitress: a stream keeps one for as long as it lasts."""

CHANNELS = "STREAMKIT_CHANNELS"
"""The environment variable that says where channels are."""

NEEDS_REDIS = """\
several processes need a Redis, by which they tell each other what was painted:
  apt-get install redis-server      (or brew install redis)
  redis-server --port 6379 --save ""
  python3 examples/demo --workers 3 --redis redis://127.0.0.1:6379/0"""

PATIENCE = 1
"""Seconds that a stream may still take when the demo is stopped."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 examples/demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the page, or the next free one")
    parser.add_argument("--workers", type=int, default=1, help="how many processes serve it")
    parser.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get(CHANNELS) or None,
        help="where the board and its channel are, such as redis://127.0.0.1:6379/0: more than "
        f"one process needs it (default: what {CHANNELS} says, else the process's memory)",
    )
    parser.add_argument("--sockets", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers must be 1 or more")
    if options.workers > 1 and not options.redis:
        parser.error(NEEDS_REDIS)
    try:
        channels.use(options.redis)
        cells = RedisCells(options.redis) if options.redis else MemoryCells()
        board = Board(cells)
        if not options.sockets:
            board.state()
    except (ConnectionError, ImportError, ValueError) as error:
        parser.error(f"--redis: {error}")
    if options.sockets:
        return serve([socket.socket(fileno=number) for number in options.sockets], board, options)

    wsgi_socket = listen(options.port)
    sockets = [wsgi_socket, listen(options.port and port_of(wsgi_socket) + 1)]
    if options.workers == 1:
        return serve(sockets, board, options)
    Library()  # once, and not by each of them
    numbers = [f"{each.fileno()}" for each in sockets]
    arguments = ["-m", "demo.servers", "--workers", f"{options.workers}"]
    # Not as an argument, which anybody on this machine can read: it may have a password.
    os.environ[CHANNELS] = options.redis
    announce(servers_at(sockets))
    return Workers(options.workers, [*arguments, "--sockets", *numbers], sockets).run()


def servers_at(sockets: list[socket.socket]) -> list[Server]:
    wsgi_port, asgi_port = map(port_of, sockets)
    return [
        Server("WSGI", "Flask on waitress", "wsgi", "sync", wsgi_port),
        Server("ASGI", "no framework, on uvicorn", "asgi", "async", asgi_port),
    ]


def announce(servers: list[Server]) -> None:
    print(f"Open http://127.0.0.1:{servers[0].port}/ and stop with Ctrl-C.")
    for server in servers:
        print(f"  {server.name}: {server.runs}, http://127.0.0.1:{server.port}/", flush=True)


def serve(sockets: list[socket.socket], board: Board, options: argparse.Namespace) -> int:
    """Both servers, until a signal ends them."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if options.sockets:
        threading.Thread(target=wait_for_parent, args=(stop,), daemon=True).start()

    wsgi_socket, asgi_socket = sockets
    servers = servers_at(sockets)
    shared = (servers, Figures(), Library(), board, options.workers)
    with (
        serving_wsgi(Demo(flask.StreamingService, *shared), wsgi_socket),
        serving_asgi(Demo(asgi.StreamingService, *shared), asgi_socket),
    ):
        if not options.sockets:
            announce(servers)
        stop.wait()
    return 0


def wait_for_parent(stop: threading.Event) -> None:
    """It holds the other end of this process's input for as long as it lives."""
    os.read(0, 1)
    stop.set()


@contextmanager
def serving_wsgi(demo: Demo[flask.StreamingResponse], listening: socket.socket) -> Iterator[None]:
    server = create_server(
        flask_app(demo),
        sockets=[listening],
        threads=THREADS,
        outbuf_high_watermark=64 * 1024,  # not 16 MiB, which would hide a slow reader
    )
    threading.Thread(target=server.run, name="waitress", daemon=True).start()
    yield
    demo.end_figures()
    server.task_dispatcher.shutdown(timeout=PATIENCE)


@contextmanager
def serving_asgi(demo: Demo[asgi.StreamingResponse], listening: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(
        uvicorn.Config(
            asgi_app(demo),
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=PATIENCE,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],), name="uvicorn")
    thread.start()
    yield
    server.should_exit = True
    demo.end_figures()
    thread.join()


def listen(port: int) -> socket.socket:
    """Listen on this port of 127.0.0.1, or on the next free one; 0 stands for any."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
            port += 1


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
