"""Files over real servers, against the frameworks' own responses and a server's static files."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import flask
import psutil
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse as DjangoFileResponse
from django.urls import path as route
from starlette.responses import FileResponse

from streamkit_adapters import asgi as asgi_adapter
from streamkit_adapters import django as django_adapter
from streamkit_adapters import flask as flask_adapter
from streamkit_adapters import starlette as starlette_adapter

from .measure import Run, print_table, rates
from .server import (
    GRANIAN,
    UVICORN,
    WAITRESS,
    Server,
    run_granian,
    run_uvicorn,
    run_waitress,
    serving,
)

__all__ = ["main"]

MIB: Final = 1024 * 1024

OURS: Final = "streamkit"

FUNCTION: Final = "function"
"""Ours, from a function that reads the file: the server does not know that it is one."""

RECEIVED_AT_ONCE: Final = 1024 * 1024
"""Bytes."""


class Load(NamedTuple):
    size: int
    """Of the file, in bytes."""
    requests: int


LOADS: Final = (Load(512 * MIB, 1), Load(MIB, 100), Load(16 * 1024, 300))

NAME: Final = "data.bin"

PIECE_BYTES: Final = 64 * 1024

Respond = Callable[[str], Any]
"""Makes the response that sends the file at a path."""


def read(path: str, start: int, stop: int) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        file.seek(start)
        while piece := file.read(min(PIECE_BYTES, stop - file.tell())):
            yield piece


def ours(service: Any) -> dict[str, Respond]:
    return {
        OURS: lambda path: service.download(path, filename=NAME),
        FUNCTION: lambda path: service.download(
            partial(read, path), filename=NAME, size=Path(path).stat().st_size
        ),
    }


PLAIN: Final = ours(asgi_adapter.StreamingService)
STARLETTE: Final[dict[str, Respond]] = {
    **ours(starlette_adapter.StreamingService),
    "FileResponse": lambda path: FileResponse(path, filename=NAME),
}
FLASK: Final[dict[str, Respond]] = {
    **ours(flask_adapter.StreamingService),
    "send_file": lambda path: flask.send_file(path, as_attachment=True, download_name=NAME),
}
DJANGO: Final[dict[str, Respond]] = {
    **ours(django_adapter.StreamingService),
    "FileResponse": lambda path: DjangoFileResponse(
        Path(path).open("rb"),  # noqa: SIM115 - the response closes it
        as_attachment=True,
        filename=NAME,
    ),
}


async def plain_app(scope: Any, receive: Any, send: Any) -> None:
    way, path = _asked(scope["path"])
    await PLAIN[way](path)(scope, receive, send)


async def starlette_app(scope: Any, receive: Any, send: Any) -> None:
    way, path = _asked(scope["path"])
    await STARLETTE[way](path)(scope, receive, send)


def flask_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    return _flask()(environ, start_response)


def django_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    body: Iterable[bytes] = _django()(environ, start_response)
    return body


def _asked(target: str) -> tuple[str, str]:
    _, way, path = target.split("/", 2)
    return way, f"/{path}"


@cache
def _flask() -> flask.Flask:
    app = flask.Flask(__name__)
    app.add_url_rule("/<way>/<path:path>", view_func=lambda way, path: FLASK[way](f"/{path}"))
    return app


@cache
def _django() -> Any:
    def view(request: Any, way: str, path: str) -> Any:
        return DJANGO[way](f"/{path}")

    settings.configure(
        ROOT_URLCONF=(route("<way>/<path:path>", view),),
        ALLOWED_HOSTS=["localhost"],
        MIDDLEWARE=["streamkit_adapters.django.StreamkitMiddleware"],
    )
    return get_wsgi_application()


def servers(folder: Path) -> dict[str, tuple[Callable[..., None], Any, Iterable[str]]]:
    """How each is run, with which app, and the ways in which files of ``folder`` are asked for."""
    return {
        f"Starlette on {UVICORN}": (run_uvicorn, starlette_app, STARLETTE),
        f"Flask on {WAITRESS}": (run_waitress, flask_app, FLASK),
        f"Django on {WAITRESS}": (run_waitress, django_app, DJANGO),
        f"ASGI on {GRANIAN}": (partial(run_granian, folder), plain_app, (OURS, "static")),
    }


class Download:
    """Requests for a file, and the seconds of processor time that each lot took the server."""

    def __init__(self, server: Server, target: str, load: Load) -> None:
        self.seconds: list[float] = []
        self._server = server
        self._process = psutil.Process(server.pid)
        self._request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        self._load = load

    def __call__(self) -> None:
        before = self._used()
        for _ in range(self._load.requests):
            self._read()
        self.seconds.append(self._used() - before)

    def _used(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def _read(self) -> None:
        received = bytearray(RECEIVED_AT_ONCE)
        size = 0
        with socket.create_connection(self._server.address) as connection:
            connection.sendall(self._request.encode())
            while count := connection.recv_into(received):
                size += count
        if size < self._load.size:
            raise RuntimeError(f"only {size:,} bytes came")


def compare(title: str, server: Server, ways: Iterable[str], path: Path, load: Load) -> None:
    os.truncate(path, load.size)
    downloads = {way: Download(server, f"/{way}{path}", load) for way in ways}
    runs = {way: Run(load.size * load.requests, download) for way, download in downloads.items()}
    measured = rates(runs)
    print_table(
        f"{load.requests} of {load.size / MIB:g} MiB, {title}",
        ("way", "MiB/s", "streamkit's rate, this one's = 1", "server's CPU, seconds"),
        [
            (
                way,
                f"{rate / MIB:,.0f}",
                f"{measured[OURS] / rate:.2f}",
                f"{median(downloads[way].seconds):.2f}",
            )
            for way, rate in measured.items()
        ],
    )


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.touch()
        for title, (run, app, ways) in servers(path.parent).items():
            with serving(run, app) as server:
                for load in LOADS:
                    compare(title, server, ways, path, load)


if __name__ == "__main__":
    main()
