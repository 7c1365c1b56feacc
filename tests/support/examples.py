"""The examples, started as the README says."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["EXAMPLES", "README", "WAIT", "free_port", "running", "started"]

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples"
README: Final = (ROOT / "README.md").read_text()

WAIT: Final = 20.0
"""Seconds after which a server will not listen, or not end."""


class Started(NamedTuple):
    port: int
    process: "subprocess.Popen[bytes]"


@contextmanager
def started(command: str, **environment: str) -> Iterator[Started]:
    """A server that is started by the README's ``command``, but on a port that is free."""
    port = free_port()
    with running(f"{command} --port {port}", port, **environment) as process:
        yield Started(port, process)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def running(command: str, port: int, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A module that is run with arguments, from when it listens at ``port``."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    process = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(command)],
        # The examples are imported from there.
        cwd=EXAMPLES,
        env={**inherited, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + WAIT
        while True:
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(WAIT)
        finally:
            process.kill()
