"""From nothing to the first event: ``python -m benchmarks.first_event``. Takes some ten minutes.

The programs of the table in docs/README.md, each in an empty virtual environment: the seconds that
its ``pip install`` takes, and those from the start of its server to the first event that ``curl``
prints. A round that is not counted comes first, so that pip has all packages on this machine. Of
streamkit it installs a wheel of this checkout. Flask-SSE has a redis-server, which is started
before.
"""

import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from .measure import print_table
from .redis import server as redis_server

__all__ = ["main"]

ROOT: Final = Path(__file__).resolve().parents[1]

ROUNDS: Final = 3

PATIENCE: Final = 30.0
"""Seconds after which a server is said not to listen."""


class Way(NamedTuple):
    name: str
    program: Path
    install: str


WAYS: Final = [
    Way(name, ROOT / path, install)
    for name, path, install in re.findall(
        r"^\| (.*?): \[\w+\]\(\.\./(\S+)\) \| \d+ \| `(pip install [^`]+)`",
        (ROOT / "docs" / "README.md").read_text(),
        re.M,
    )
]


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def serving(program: Path, programs: Path, redis: str) -> Iterator[int]:
    """The port of the server that ``program``, which was copied beside ``programs``, is run by."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name, *options = server_of(program)
    with subprocess.Popen(
        [programs / name, *options, "--port", str(port)],
        cwd=programs.parents[1],
        env={**os.environ, "REDIS_URL": redis},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                with suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server of {program.name} does not listen")
                time.sleep(0.01)
            yield port
        finally:
            process.kill()


def server_of(program: Path) -> list[str]:
    if program.stem.startswith("flask"):
        return ["flask", "--app", program.stem, "run"]
    app = "application" if program.stem.startswith("django") else "app"
    return ["uvicorn", f"{program.stem}:{app}"]


def seconds(way: Way, wheel: Path, redis: str) -> tuple[float, float]:
    """Those of the installation, and those from the server's start to the first event."""
    with tempfile.TemporaryDirectory() as folder:
        programs = Path(folder) / "v" / "bin"
        run(sys.executable, "-m", "venv", programs.parent)
        shutil.copy(way.program, folder)
        _, _, *wanted = shlex.split(way.install.replace("streamkit-http", str(wheel)))

        started = time.perf_counter()
        run(programs / "pip", "install", *wanted)
        installed = time.perf_counter()

        with (
            serving(way.program, programs, redis) as port,
            subprocess.Popen(
                ["curl", "-sN", "--noproxy", "*", f"http://127.0.0.1:{port}/events"],
                stdout=subprocess.PIPE,
            ) as curl,
        ):
            assert curl.stdout is not None
            came = any(b"tick" in line for line in curl.stdout)
            arrived = time.perf_counter()
            curl.kill()
        if not came:
            raise RuntimeError(f"no event came of {way.program.name}")
    return installed - started, arrived - installed


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, redis_server() as (redis, _):
        run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
        (wheel,) = Path(folder).glob("*.whl")
        rounds = [[seconds(way, wheel, redis) for way in WAYS] for _ in range(ROUNDS + 1)]
    lines = []
    for way, measured in zip(WAYS, zip(*rounds[1:], strict=True), strict=True):
        install, event = (median(each) for each in zip(*measured, strict=True))
        lines.append([way.name, f"{install:.1f}", f"{event:.1f}", f"{install + event:.1f}"])
    print_table(
        "From nothing to the first event, seconds",
        ["", "pip install", "start to first event", "both"],
        lines,
    )
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    print(f"\n{machine}, load {os.getloadavg()[0]:.1f}; the median of {ROUNDS} interleaved rounds")


if __name__ == "__main__":
    main()
