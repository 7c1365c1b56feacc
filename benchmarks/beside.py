"""What happens beside what is used today: ``python -m benchmarks.beside``. Takes 90 seconds.

At SIGTERM, in a burst, to a client that is slow in one, and where a source fails before its first
event: over real servers, each in a process of its own, seen by a client that reads bytes.
"""

import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from statistics import median
from typing import Final, NamedTuple

from .beside_apps import BURST, EVENT
from .measure import ROUNDS, print_table

__all__ = ["main"]

PATIENCE: Final = 10.0
"""Seconds after which a process that was told to end is said to be still running."""

LOOKS_AWAY: Final = 2.0
"""Seconds for which the slow client reads nothing."""

SAID_OF_DROPPED: Final = b": dropped "


class Way(NamedTuple):
    name: str
    app: str
    server: tuple[str, ...]


UVICORN: Final = ("uvicorn", "--no-access-log", "--log-level", "critical", "--port", "{port}")
GUNICORN: Final = (
    *("gunicorn", "--worker-class", "gthread", "--threads", "8"),
    *("--log-level", "critical", "--bind", "127.0.0.1:{port}"),
)

WAYS: Final = (
    Way("**streamkit**, FastAPI", "on_fastapi", UVICORN),
    Way("sse-starlette", "sse_starlettes", UVICORN),
    Way("FastAPI's own", "fastapis_own", UVICORN),
    Way("**streamkit**, Flask", "on_flask", GUNICORN),
    Way("`stream_with_context`", "flasks_own", GUNICORN),
)


class Connection:
    """A request, and what came for it, byte by byte: a chunked body shows whether it is whole."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.received = b""
        self._is_over = False

    def read(self) -> bool:
        """Read what has come; false if nothing will any more. Raises TimeoutError."""
        with suppress(ConnectionError):
            piece = self._socket.recv(1 << 20)
            self.received += piece
            if piece and not self.is_whole:
                return True
        self._is_over = True
        return False

    def read_until(self, text: bytes) -> None:
        while text not in self.received and self.read():
            pass

    def read_to_the_end(self) -> None:
        while self.read():
            pass

    @property
    def status(self) -> int:
        return int(self.received.split(b" ", 2)[1]) if self.received else 0

    @property
    def is_whole(self) -> bool:
        head, _, body = self.received.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            return body.endswith(b"\r\n0\r\n\r\n") or body == b"0\r\n\r\n"
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-len")]
        return bool(length) and len(body) >= int(length[0].partition(b":")[2])

    @property
    def end(self) -> str:
        if not self._is_over:
            return "still open"
        return "clean end" if self.is_whole else "broken off"

    def close(self) -> None:
        self._socket.close()


@contextmanager
def running(way: Way) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    module, *options = (each.format(port=port) for each in way.server)
    command = [sys.executable, "-m", module, *options, f"benchmarks.beside_apps:{way.app}"]
    # Some write there what is shown here: an error for a source that fails.
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                with suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                if process.poll() is not None:
                    raise RuntimeError(f"the server of {way.name} ended before it listened")
                time.sleep(0.02)
            yield port, process
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    # gunicorn takes the second one for its workers: at once, and not when they are ready.
    for told in (signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(told)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
            return


@contextmanager
def connected(port: int, path: str) -> Iterator[Connection]:
    connection = Connection(port, path)
    try:
        yield connection
    finally:
        connection.close()


def at_sigterm(way: Way) -> str:
    with running(way) as (port, process), connected(port, "/live") as client:
        client.read_until(b"data: 1")
        process.terminate()
        told = time.perf_counter()
        try:
            while client.read() and time.perf_counter() - told < PATIENCE:
                pass
            process.wait(max(0.01, told + PATIENCE - time.perf_counter()))
        except (TimeoutError, subprocess.TimeoutExpired):
            pass
        seconds = time.perf_counter() - told
        if process.poll() is None:
            return f"still running after {PATIENCE:.0f} s"
        retry = " that says when to come back" if b"retry: " in client.received else ""
        return f"{client.end}{retry}; gone in {seconds:.2f} s"


def in_a_burst(way: Way) -> str:
    with running(way) as (port, _):
        received, seconds = zip(*(burst(port) for _ in range(ROUNDS)), strict=True)
    return f"{min(received, key=len)} in {median(seconds):.2f} s"


def to_a_slow_client(way: Way) -> str:
    with running(way) as (port, _):
        return burst(port, LOOKS_AWAY)[0]


def burst(port: int, pause: float = 0) -> tuple[str, float]:
    """What has come of a burst, to a client that pauses so long, and in how many seconds."""
    with connected(port, "/burst") as client:
        begun = time.perf_counter()
        client.read_until(b"data: ")
        time.sleep(pause)
        client.read_to_the_end()
        seconds = time.perf_counter() - begun
        seen = client.received.count(f"data: {EVENT}".encode())
        told = "told how many are missing" if SAID_OF_DROPPED in client.received else "not told"
        return "all" if seen == BURST else f"{seen:,}, {told}", seconds


def where_the_source_fails(way: Way) -> str:
    with running(way) as (port, _), connected(port, "/failing") as client:
        client.read_to_the_end()
        return f"{client.status}" if client.status != 200 else f"200, {client.end}"


SITUATIONS: Final[dict[str, Callable[[Way], str]]] = {
    "SIGTERM while a stream is open": at_sigterm,
    f"a burst of {BURST:,} events": in_a_burst,
    f"the same, to a client that looks away for {LOOKS_AWAY:.0f} s": to_a_slow_client,
    "the source fails at once, before its first event": where_the_source_fails,
}


HEAD: Final = ("event streams by", *SITUATIONS)


def main() -> None:
    versions = ", ".join(
        f"{name} {version(name)}"
        for name in ("sse-starlette", "fastapi", "uvicorn", "flask", "gunicorn")
    )
    print_table(
        f"Python {platform.python_version()}, {versions}",
        HEAD,
        [(way.name, *(look(way) for look in SITUATIONS.values())) for way in WAYS],
    )


if __name__ == "__main__":
    main()
