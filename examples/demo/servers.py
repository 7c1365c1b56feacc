"""Both servers of the demo, as threads of one process."""

import argparse
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EADDRINUSE

import uvicorn
from waitress.server import create_server

from streamkit_adapters import asgi, flask

from .asgi_app import asgi_app
from .board import Board
from .figures import Figures
from .flask_app import flask_app
from .library import Library
from .service import Demo, Server

THREADS = 32
"""Of waitress: a stream keeps one for as long as it lasts."""

PATIENCE = 1
"""Seconds that a stream may still take when the demo is stopped."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 examples/demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the page, or the next free one")
    port: int = parser.parse_args().port

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    library, figures, board = Library(), Figures(), Board()
    wsgi_socket = listen(port)
    asgi_socket = listen(port and port_of(wsgi_socket) + 1)
    servers = [
        Server("WSGI", "Flask on waitress", "wsgi", "sync", port_of(wsgi_socket)),
        Server("ASGI", "no framework, on uvicorn", "asgi", "async", port_of(asgi_socket)),
    ]
    with (
        serving_wsgi(Demo(flask.StreamingService, servers, figures, library, board), wsgi_socket),
        serving_asgi(Demo(asgi.StreamingService, servers, figures, library, board), asgi_socket),
    ):
        print(f"Open http://127.0.0.1:{servers[0].port}/ and stop with Ctrl-C.")
        for server in servers:
            print(f"  {server.name}: {server.runs}, http://127.0.0.1:{server.port}/", flush=True)
        stop.wait()


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
    demo.drop()
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
    demo.drop()
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
    main()
