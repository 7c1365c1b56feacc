"""The streams of the demo, written once: each server gives them its own kind of response."""

import hashlib
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
import psutil

from streamkit import BaseStreamingService, Channel, ExportFormat, ServerSentEvent, context, metrics

from .archive import Archive
from .board import Board
from .figures import Figures, Sample
from .library import ROOT, Library, Line

R = TypeVar("R")

PAGE = Path(__file__).parent / "page"
CONTENT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True)
class Server:
    """One of the servers: the ``tenant`` of its streams, and the kind of ``source`` it shows."""

    name: str
    runs: str
    tenant: str
    source: Literal["sync", "async"]
    port: int


@dataclass(frozen=True)
class Document:
    """An answer that is no stream."""

    body: bytes = b""
    content_type: str = "text/plain"
    status: int = 200


class Demo(Generic[R]):
    """What one server serves; ``R`` is what its framework calls a response."""

    def __init__(
        self,
        streaming: type[BaseStreamingService[R]],
        servers: list[Server],
        figures: Figures,
        library: Library,
        board: Board,
        workers: int,
    ) -> None:
        self._streaming = streaming
        self._servers = servers
        self._origins = {
            f"http://{host}:{server.port}"
            for host in ("127.0.0.1", "localhost")
            for server in servers
        }
        self._figures = figures
        self._library = library
        self._board = board
        self._workers = workers
        self._ended = threading.Event()
        # By its adapter: what is dropped on one server goes on at the other, in every process.
        self._drops = Channel(f"drops:{streaming.__module__}")
        dropped = iter(self._drops)
        threading.Thread(target=self._follow_drops, args=(dropped,), daemon=True).start()

    def figures(self, source: Literal["sync", "async"]) -> R:
        """Live figures, from the last one that this client has seen."""
        seen = context.get().last_event_id or ""
        follow = self._figures.follow if source == "sync" else self._figures.follow_async
        samples = follow(int(seen) if seen.isdecimal() else 0, self._ended)
        return self._streaming.sse("figures", samples, _event)

    def drop(self) -> Document:
        """End the live figures of everybody who is following them on this server.

        Whichever of its processes they follow them in: each of them hears of it.
        """
        try:
            self._drops.publish("all")
        except ConnectionError as error:
            return Document(f"{error}\n".encode(), status=503)
        return Document()

    def end_figures(self) -> None:
        """End those of this process."""
        ended, self._ended = self._ended, threading.Event()
        ended.set()
        self._figures.wake()

    def _follow_drops(self, dropped: Iterator[ServerSentEvent]) -> None:
        for _ in dropped:
            self.end_figures()

    def board(self) -> R:
        """What anybody paints on the board, on this server or the other, for everybody."""
        return self._streaming.sse("board", self._board.channel)

    def paint(self, query: str) -> Document:
        try:
            self._board.paint(query)
        except ValueError as error:
            return Document(f"{error}\n".encode(), status=400)
        except ConnectionError as error:
            return Document(f"{error}\n".encode(), status=503)
        return Document()

    def state(self) -> Document:
        """The whole board, for a page that begins to follow it."""
        try:
            return Document(msgspec.json.encode(self._board.state()), "application/json")
        except ConnectionError as error:
            return Document(f"{error}\n".encode(), status=503)

    def kill(self, query: str, origin: str | None) -> Document:
        """Kill one of the processes, as the kernel does when there is no memory left."""
        process = dict(parse_qsl(query)).get("process", "")
        if origin not in self._origins:
            return Document(b"Only for the page of the demo\n", status=403)
        if self._workers == 1 or process not in _siblings():
            return Document(b"None of several worker processes\n", status=400)
        os.kill(int(process), signal.SIGKILL)
        return Document()

    def flood(self) -> R:
        """Every line of the library as an event, faster than a slow client can read."""
        return self._streaming.sse("flood", _paced(self._library.lines()))

    def lines(self, format: ExportFormat) -> R:
        return self._streaming.export("lines", self._library.lines(), format)

    def archive(self) -> R:
        archive = Archive(ROOT, self._library.paths)
        return self._streaming.download(
            archive, filename="library.tar", size=archive.size, name="library"
        )

    def digest(self) -> R:
        """The archive's SHA-256, as ``sha256sum`` writes it."""
        archive = Archive(ROOT, self._library.paths)
        return self._streaming.download(
            _digest(archive),
            filename="library.tar.sha256",
            content_type="text/plain",
            name="digest",
        )

    def document(self, path: str) -> Document:
        """The page and its parts, what it says about this machine, and the metrics."""
        match path:
            case "/metrics":
                return Document(*metrics.expose())
            case "/about.json":
                return Document(msgspec.json.encode(self._about()), "application/json")
        for file in PAGE.iterdir():
            if file.name == (path.removeprefix("/") or "index.html"):
                return Document(file.read_bytes(), CONTENT_TYPES[file.suffix])
        return Document(b"Not found\n", status=404)

    def headers(self, origin: str | None) -> dict[str, str]:
        """What every response has besides its own, for a page that came from ``origin``.

        The page reads both servers, whichever it came from. Chromium hides a slow reader from the
        server: it reads ahead, without bound, whatever it is allowed to store.
        """
        headers = {"Cache-Control": "no-store", "Vary": "Origin", "X-Process": f"{os.getpid()}"}
        if origin in self._origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Headers"] = "Last-Event-ID"
            headers["Access-Control-Expose-Headers"] = "Content-Disposition, X-Process"
        return headers

    def _about(self) -> dict[str, object]:
        return {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "workers": self._workers,
            "memory": psutil.virtual_memory().total,
            "files": len(self._library.paths),
            "rows": self._library.rows,
            "servers": [asdict(server) for server in self._servers],
        }


def _event(sample: Sample) -> ServerSentEvent:
    return ServerSentEvent(data=sample, id=str(sample.id), retry=1000)


def _siblings() -> set[str]:
    """This process and the others that were started beside it."""
    return {f"{each.pid}" for each in psutil.Process(os.getppid()).children()}


def _paced(lines: Iterator[Line]) -> Iterator[Line]:
    """Some 30,000 lines a second."""
    for number, line in enumerate(lines, 1):
        yield line
        if number % 400 == 0:
            time.sleep(0.01)


def _digest(archive: Archive) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in archive:
        digest.update(piece)
    yield f"{digest.hexdigest()}  library.tar\n".encode()
