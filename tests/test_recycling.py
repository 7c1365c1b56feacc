"""Workers that a server replaces, made up: those of real servers are in tests/servers."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from combinations import WAIT, wait_until

import streamkit
from streamkit import StreamingService, recycling, signals

THREAD = "streamkit-recycling"


class Worker:
    """Of gunicorn."""

    def __init__(self, max_requests: int = 0, reload: bool = False) -> None:
        self.cfg = SimpleNamespace(max_requests=max_requests, reload=reload)
        self.alive = True

    def handle_exit(self, number: int, frame: object) -> None:
        self.alive = False


Worker.__module__ = "gunicorn.workers.base"


class ThreadWorker(Worker):
    pass


class Server:
    """Of uvicorn."""

    def __init__(self, limit: int | None, jitter: int = 0) -> None:
        self.config = SimpleNamespace(limit_max_requests=limit)
        if limit is not None:
            self.limit_max_requests = limit + jitter
        self.server_state = SimpleNamespace(total_requests=0)

    def handle_exit(self, number: int, frame: object) -> None:
        pass


Server.__module__ = "uvicorn.server"


class Unlike:
    """A worker that knows nothing of what is asked for, and minds the question."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def handle_exit(self, number: int, frame: object) -> None:
        pass


Unlike.__module__, Unlike.__qualname__ = "gunicorn.workers.base", "Worker"


@pytest.fixture(autouse=True)
def _goes_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process, and its handlers, be as they were."""
    handlers = {number: signal.getsignal(number) for number in [*signals.SIGNALS, signal.SIGURG]}
    monkeypatch.setattr(recycling, "INTERVAL", 0.01)
    signals._forget()
    recycling._watched.clear()
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signals._forget()
    recycling._watched.clear()
    # It ends by itself, once its worker is done.
    wait_until(lambda: threads() == 0)


def threads() -> int:
    return sum(thread.name == "streamkit-recycling" for thread in threading.enumerate())


async def feed() -> AsyncIterator[str]:
    yield "one"
    await asyncio.Event().wait()


def open_stream() -> Iterator[bytes]:
    chunks = iter(StreamingService.sse("s", feed()))
    next(chunks)
    return chunks


@pytest.mark.parametrize("is_chained", [True, False], ids=["chained", "unchained"])
@pytest.mark.parametrize("limits", [{"max_requests": 10}, {"reload": True}], ids=str)
def test_streams_of_a_worker_of_gunicorn_that_is_done_are_retired(
    limits: dict[str, Any], is_chained: bool
) -> None:
    worker = ThreadWorker(**limits)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    if is_chained:
        streamkit.shutdown_on_signals()
    streams = [open_stream(), open_stream()]
    # However many streams there are.
    assert threads() == 1
    worker.alive = False
    for chunks in streams:
        assert b"retry" in b"".join(chunks)
    assert signals.is_shut_down()


def test_streams_of_a_uvicorn_that_has_had_its_requests_are_retired() -> None:
    server = Server(10, jitter=5)
    signal.signal(signal.SIGTERM, server.handle_exit)
    chunks = open_stream()
    server.server_state.total_requests = 14
    time.sleep(10 * recycling.INTERVAL)
    assert not signals.is_shut_down()
    server.server_state.total_requests = 15
    assert b"retry" in b"".join(chunks)


def test_streams_on_a_loop_whose_handlers_are_methods_of_the_worker_are_retired() -> None:
    worker = ThreadWorker(max_requests=10)

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, worker.handle_exit, signal.SIGTERM, None)
        chunks = aiter(StreamingService.sse("s", feed()))
        await anext(chunks)
        worker.alive = False
        body = b"".join([chunk async for chunk in chunks])
        loop.remove_signal_handler(signal.SIGTERM)
        return body

    assert b"retry" in asyncio.run(main())


@pytest.mark.parametrize(
    "worker",
    [ThreadWorker(), Server(None), Server(sys.maxsize), Unlike()],
    ids=["gunicorn", "uvicorn", "uvicorn-worker", "unlike"],
)
def test_without_a_limit_there_is_no_thread(worker: Any) -> None:
    signal.signal(signal.SIGTERM, worker.handle_exit)
    chunks: Any = open_stream()
    assert threads() == 0
    chunks.close()


def test_a_worker_that_comes_to_know_nothing_any_more_is_left_alone() -> None:
    worker = ThreadWorker(max_requests=10)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    chunks: Any = open_stream()
    del worker.alive
    time.sleep(5 * recycling.INTERVAL)
    assert not signals.is_shut_down()
    worker.alive = False
    assert b"retry" in b"".join(chunks)


def test_if_no_thread_is_to_be_had_the_next_stream_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = ThreadWorker(max_requests=10)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "streamkit-recycling":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        first = open_stream()
    second = open_stream()
    worker.alive = False
    assert b"retry" in b"".join(first)
    assert b"retry" in b"".join(second)


PROGRAM = """
import os, signal, warnings
from test_recycling import ThreadWorker, open_stream, threads

# About forking while there are threads, which is what this is about.
warnings.simplefilter("ignore", DeprecationWarning)

def stream():
    worker = ThreadWorker(max_requests=10)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    chunks = open_stream()
    print(threads(), flush=True)
    worker.alive = False
    print(b"retry" in b"".join(chunks), flush=True)

worker = ThreadWorker(max_requests=10)
signal.signal(signal.SIGTERM, worker.handle_exit)
opened = open_stream()
child = os.fork()
if not child:
    stream()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_looks_at_its_own_worker() -> None:
    path = os.pathsep.join((str(Path(__file__).parent), *sys.path))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": path},
        timeout=WAIT * 4,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\nTrue\n0\n", "")
