"""The end of a process: by ``shutdown``, and by the signals that call for it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from textwrap import dedent, indent
from types import ModuleType
from typing import Any

import pytest
from combinations import WAIT, AsyncSource, Combination, SyncSource, value, wait_until
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import StreamingService, kind, log, signals

SIGNALS = list(signals.SIGNALS)
"""SIGTERM, SIGINT, and where there is one SIGQUIT."""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.fixture(autouse=True)
def _goes_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process, and its handlers, be as they were."""
    handlers = {number: signal.getsignal(number) for number in [*SIGNALS, signal.SIGURG]}
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGURG, signal.SIG_DFL)
    monkeypatch.setattr(signals, "FLUSH_DELAY", 0.0)
    monkeypatch.setattr(kind, "SSE", replace(kind.SSE, heartbeat=None))
    signals._forget()
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signals._forget()


def assert_retried(body: bytes, before: bytes = b"") -> None:
    found = re.fullmatch(re.escape(before) + rb"retry: (\d+)\n\n", body)
    assert found, body
    assert 1000 <= int(found[1]) <= 10_000


def assert_closed_once(source: Any) -> None:
    assert source.closed.wait(WAIT)
    assert source.closes == 1
    assert len(source.places) == 1


class TestShutdown:
    """In the four combinations of source and consumer."""

    def test_what_is_ready_is_sent_then_when_to_come_back_and_the_source_is_closed(
        self, combination: Combination, registry: CollectorRegistry
    ) -> None:
        begun, asked, release = threading.Event(), threading.Event(), threading.Event()

        def wait(event: threading.Event, element: str) -> Any:
            def blocking() -> str:
                assert event.wait(WAIT)
                return element

            return asyncio.to_thread(blocking) if combination.is_async else blocking()

        def silent() -> Any:
            asked.set()
            return wait(release, "too late")

        source = combination.source(["one", lambda: wait(begun, "two"), "three", silent])
        reader = combination.reader.open(StreamingService.sse("s", source))
        assert reader.next() == b"data: one\n\n"
        begun.set()
        wait_until(lambda: combination.reader.run(asked.is_set))
        streamkit.shutdown()
        assert_retried(reader.rest(), b"data: two\n\ndata: three\n\n")
        release.set()
        reader.leave()
        assert_closed_once(source)
        wait_until(lambda: value(registry, "stream_active") == 0)
        assert value(registry, "stream_closed_total", outcome="retired") == 1
        assert value(registry, "stream_closed_total") == 1
        assert value(registry, "stream_elements_total") == 3
        assert not signals._live

    def test_a_consumer_that_waits_is_woken(
        self, combination: Combination, registry: CollectorRegistry
    ) -> None:
        release = threading.Event()

        def shut_down_and_wait() -> Any:
            streamkit.shutdown()
            return (
                asyncio.to_thread(release.wait, WAIT)
                if combination.is_async
                else release.wait(WAIT)
            )

        source = combination.source([shut_down_and_wait])
        reader = combination.reader.open(StreamingService.sse("s", source))
        assert_retried(reader.rest())
        release.set()
        reader.leave()
        assert_closed_once(source)
        wait_until(lambda: value(registry, "stream_closed_total", outcome="retired") == 1)

    def test_a_source_that_never_pauses_is_ended(self, combination: Combination) -> None:
        source = combination.source(repeat("event"))
        reader = combination.reader.open(StreamingService.sse("s", source))
        reader.next()
        streamkit.shutdown()
        assert re.search(rb"retry: \d+\n\n\Z", reader.rest())
        reader.leave()
        assert_closed_once(source)

    def test_a_second_shutdown_sends_nothing_more(self, combination: Combination) -> None:
        source = combination.source(repeat("event"))
        reader = combination.reader.open(StreamingService.sse("s", source))
        reader.next()
        streamkit.shutdown()
        streamkit.shutdown()
        assert reader.rest().count(b"retry") == 1

    def test_a_stream_that_starts_after_a_shutdown_ends_at_once(
        self, combination: Combination
    ) -> None:
        streamkit.shutdown()
        source = combination.source(repeat("event"))
        reader = combination.reader.open(StreamingService.sse("s", source))
        assert re.search(rb"retry: \d+\n\n\Z", reader.rest())
        reader.leave()
        assert_closed_once(source)

    def test_exports_and_downloads_go_on_to_their_end(self, combination: Combination) -> None:
        rows = [b"%d\n" % n for n in range(1000)]
        for response in (
            StreamingService.export("e", combination.source(range(1000)), "ndjson"),
            StreamingService.download(combination.source(rows), filename="f"),
        ):
            reader = combination.reader.open(response)
            body = reader.next()
            streamkit.shutdown()
            body += reader.rest()
            assert body == b"".join(rows)

    def test_a_shutdown_may_come_from_another_thread(self, combination: Combination) -> None:
        source = combination.source(repeat("event"))
        reader = combination.reader.open(StreamingService.sse("s", source))
        reader.next()
        thread = threading.Thread(target=streamkit.shutdown)
        thread.start()
        thread.join()
        assert b"retry" in reader.rest()


def test_clients_come_back_at_different_times() -> None:
    responses = [iter(StreamingService.sse("s", repeat("event"))) for _ in range(20)]
    for chunks in responses:
        next(chunks)
    streamkit.shutdown()
    retries = {b"".join(chunks).rpartition(b"retry: ")[2] for chunks in responses}
    assert len(retries) > 10


def test_an_inline_source_ends_before_its_next_event() -> None:
    source = SyncSource(["one", "two", "three", "four"])
    chunks = iter(StreamingService.sse("s", streamkit.inline(source)))
    assert next(chunks) == b"data: one\n\n"
    streamkit.shutdown()
    assert_retried(b"".join(chunks))
    assert (source.given, source.closes) == (1, 1)


def test_an_inline_source_that_makes_an_event_ends_after_it() -> None:
    def make() -> str:
        streamkit.shutdown()
        return "two"

    source = SyncSource(["one", make, "three", "four"])
    chunks = iter(StreamingService.sse("s", streamkit.inline(source)))
    assert next(chunks) == b"data: one\n\n"
    assert_retried(b"".join(chunks), b"data: two\n\n")
    assert (source.given, source.closes) == (2, 1)


class Handler:
    """A server's. It notes what is open when it is called."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, number: int, frame: object) -> None:
        self.calls.append(len(signals._live))


async def feed() -> AsyncIterator[str]:
    yield "one"
    await asyncio.Event().wait()


@pytest.mark.parametrize("number", SIGNALS)
class TestSignals:
    def test_the_handler_that_was_there_is_called_once_the_streams_have_ended(
        self, number: int
    ) -> None:
        handler = Handler()
        signal.signal(number, handler)
        chunks = iter(StreamingService.sse("s", feed()))
        body = next(chunks)
        os.kill(os.getpid(), number)
        assert handler.calls == []
        body += b"".join(chunks)
        assert_retried(body, b"data: one\n\n")
        wait_until(lambda: handler.calls != [])
        assert handler.calls == [0]

    def test_a_server_that_sets_its_handler_later_is_found_by_the_next_stream(
        self, number: int
    ) -> None:
        signal.signal(number, Handler())
        streamkit.shutdown_on_signals()
        handler = Handler()
        signal.signal(number, handler)
        chunks = iter(StreamingService.sse("s", feed()))
        next(chunks)
        os.kill(os.getpid(), number)
        assert b"retry" in b"".join(chunks)
        wait_until(lambda: handler.calls == [0])

    def test_a_stream_on_another_thread_has_the_main_one_find_the_handler(
        self, number: int
    ) -> None:
        signal.signal(number, Handler())
        streamkit.shutdown_on_signals()
        handler = Handler()
        signal.signal(number, handler)
        chunks = iter(StreamingService.sse("s", feed()))
        thread = threading.Thread(target=next, args=(chunks,))
        thread.start()
        thread.join()
        wait_until(lambda: isinstance(signal.getsignal(number), signals._Handler))
        os.kill(os.getpid(), number)
        assert b"retry" in b"".join(chunks)
        wait_until(lambda: handler.calls == [0])

    def test_without_a_stream_a_signal_is_passed_on_at_once_and_none_begins_any_more(
        self, number: int
    ) -> None:
        handler = Handler()
        signal.signal(number, handler)
        streamkit.shutdown_on_signals()
        os.kill(os.getpid(), number)
        assert handler.calls == [0]
        wait_until(signals.is_shut_down)

    def test_a_second_signal_is_passed_on_at_once(
        self, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(signals, "MAX_DELAY", WAIT)
        handler = Handler()
        signal.signal(number, handler)
        release = threading.Event()
        source = SyncSource(["one", release.wait])
        chunks = iter(StreamingService.sse("s", source))
        next(chunks)
        os.kill(os.getpid(), number)
        assert b"retry" in b"".join(chunks)
        # Nothing can end a source that is inside of its own code.
        assert handler.calls == []
        os.kill(os.getpid(), number)
        assert handler.calls == [1]
        release.set()
        wait_until(lambda: len(handler.calls) == 2)

    def test_a_stream_that_does_not_end_is_not_waited_for_for_long(
        self, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(signals, "MAX_DELAY", 0.01)
        handler = Handler()
        signal.signal(number, handler)
        chunks = iter(StreamingService.sse("s", feed()))
        next(chunks)
        os.kill(os.getpid(), number)
        wait_until(lambda: handler.calls == [1])
        chunks.close()

    def test_a_signal_is_passed_on_at_once_if_no_thread_is_to_be_had(
        self, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def start(*arguments: object) -> None:
            raise RuntimeError("can't start new thread")

        handler = Handler()
        signal.signal(number, handler)
        chunks = iter(StreamingService.sse("s", feed()))
        next(chunks)
        monkeypatch.setattr("_thread.start_new_thread", start)
        os.kill(os.getpid(), number)
        assert handler.calls == [1]
        chunks.close()

    def test_a_signal_that_is_ignored_is_left_alone(self, number: int) -> None:
        signal.signal(number, signal.SIG_IGN)
        streamkit.shutdown_on_signals()
        assert signal.getsignal(number) is signal.SIG_IGN
        os.kill(os.getpid(), number)
        assert not signals.is_shut_down()

    def test_a_handler_is_chained_once(self, number: int) -> None:
        signal.signal(number, Handler())
        streamkit.shutdown_on_signals()
        chained = signal.getsignal(number)
        streamkit.shutdown_on_signals()
        assert signal.getsignal(number) is chained

    def test_two_chained_handlers_are_called_once_each(self, number: int) -> None:
        """As when a server passes the signal on to the handler that it found."""
        first, calls = Handler(), []
        signal.signal(number, first)
        streamkit.shutdown_on_signals()
        found: Any = signal.getsignal(number)

        def handler(number: int, frame: object) -> None:
            calls.append(number)
            found(number, frame)

        signal.signal(number, handler)
        chunks = iter(StreamingService.sse("s", feed()))
        next(chunks)
        os.kill(os.getpid(), number)
        assert b"retry" in b"".join(chunks)
        wait_until(lambda: first.calls == [0])
        assert calls == [number]


def test_a_thread_alone_cannot_set_handlers_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log, "_said", set())
    handler = Handler()
    signal.signal(signal.SIGTERM, handler)
    for _ in range(2):
        thread = threading.Thread(target=streamkit.shutdown_on_signals)
        thread.start()
        thread.join()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.getsignal(signal.SIGURG) == signal.SIG_DFL
    (said,) = caplog.messages
    assert "needs its StreamkitMiddleware, or a call of streamkit.shutdown_on_signals()" in said


def test_handlers_and_calls_of_the_system_are_left_alone_in_uwsgi(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal of the process's own would interrupt what it is just sending to somebody else."""
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))
    handler = Handler()
    signal.signal(signal.SIGTERM, handler)
    streamkit.shutdown_on_signals()
    assert list(StreamingService.sse("s", ["one"])) == [b"data: one\n\n"]
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.getsignal(signal.SIGURG) == signal.SIG_DFL


def test_an_urgent_signal_that_somebody_else_handles_is_left_to_them() -> None:
    handler = Handler()
    signal.signal(signal.SIGURG, handler)
    streamkit.shutdown_on_signals()
    assert signal.getsignal(signal.SIGURG) is handler


@pytest.mark.skipif(signals.QUIT is None, reason="needs SIGQUIT")
def test_a_quit_that_nobody_handles_still_dumps_the_core() -> None:
    number = signal.Signals.SIGQUIT
    signal.signal(number, signal.SIG_DFL)
    streamkit.shutdown_on_signals()
    chunks: Any = iter(StreamingService.sse("s", feed()))
    next(chunks)
    assert signal.getsignal(number) == signal.SIG_DFL
    chunks.close()


def test_asyncio_run_is_interrupted_after_its_streams_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Time for the loop to wait in its selector: it does not see a signal that comes just before.
    monkeypatch.setattr(signals, "FLUSH_DELAY", 0.1)
    said: list[bytes] = []

    async def main() -> None:
        chunks = aiter(StreamingService.sse("s", feed()))
        said.append(await anext(chunks))
        os.kill(os.getpid(), signal.SIGINT)
        async for chunk in chunks:
            said.append(chunk)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append(b"cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert said[-1] == b"cancelled"
    assert_retried(b"".join(said[:-1]), b"data: one\n\n")


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=WAIT * 4,
        capture_output=True,
        text=True,
        check=False,
    )


PROGRAM = """
import asyncio, os, signal, threading
import streamkit

signal.signal(signal.SIGTERM, signal.SIG_DFL)

async def feed():
    os.kill(os.getpid(), signal.SIGTERM)
    yield "one"
    await asyncio.Event().wait()

print(b"".join(streamkit.StreamingService.sse("s", feed())).count(b"retry"), flush=True)
threading.Event().wait()
"""


def test_a_process_without_a_handler_ends_by_the_signal() -> None:
    done = run(PROGRAM)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "1\n", "")


ENDS = {
    "by itself": "",
    "as it exits": "sys.exit(0)",
    "by a signal": "os.kill(os.getpid(), signal.SIGTERM)\nthreading.Event().wait()",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=[*ENDS])
@pytest.mark.parametrize("method", [None, "fork", "spawn"])
def test_a_process_does_what_is_to_be_done_at_its_end(
    end: str, method: str | None, tmp_path: Path
) -> None:
    program = f"""
import os, signal, sys, threading
from streamkit import signals

def main():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals.call_at_exit(lambda: print("first", flush=True))
    signals.call_at_exit(lambda: print("last", flush=True))
{indent(end, "    ")}
"""
    if method is None:
        program += "main()"
    else:
        # A program that is spawned is imported.
        (tmp_path / "at_the_end.py").write_text(program)
        program = f"""
            import multiprocessing, sys, warnings
            sys.path.append({str(tmp_path)!r})
            from at_the_end import main

            warnings.simplefilter("ignore", DeprecationWarning)
            process = multiprocessing.get_context({method!r}).Process(target=main)
            if __name__ == "__main__":
                process.start()
                process.join()
                sys.exit(process.exitcode)
        """
    done = run(program)
    # Of a child's it is the last byte.
    assert done.returncode % 256 == (-signal.SIGTERM % 256 if "kill" in end else 0)
    # Those that came last go first. One that is spawned comes by there twice.
    assert done.stdout.splitlines()[:2] == ["last", "first"]
    assert done.stderr == ""


@pytest.mark.parametrize("told", ["call_at_exit", "call_at_end"])
def test_a_process_ends_by_a_signal_though_what_is_to_be_done_at_its_end_fails(told: str) -> None:
    done = run(
        f"""
        import os, signal, threading
        from streamkit import signals

        def fail():
            raise OSError("no space left")

        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.call_at_exit(lambda: print("another", flush=True))
        signals.{told}(fail)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()
        """
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "another\n")
    assert "at the end of this process: no space left" in done.stderr


def test_a_process_ends_by_a_signal_though_a_stream_cannot_be_retired() -> None:
    done = run(
        """
        import os, signal, threading
        from streamkit import signals

        class Stream:
            def retire(self):
                raise OSError("no space left")

        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.add(Stream())
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()
        """
    )
    assert done.returncode == -signal.SIGTERM
    assert "no space left" in done.stderr


@needs_fork
def test_a_child_does_nothing_of_what_its_parent_does_at_its_end() -> None:
    done = run(
        """
        import os, sys
        from streamkit import signals

        signals.call_at_exit(lambda: print("parent", flush=True))
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        else:
            signals.call_at_exit(lambda: print("child", flush=True))
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "child\nparent\n", "")


@needs_fork
def test_a_child_is_not_shut_down_with_its_parent() -> None:
    done = run(
        """
        import os, warnings
        import streamkit
        from streamkit import signals

        # About forking while there are threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)

        async def feed():
            yield "one"

        chunks = iter(streamkit.StreamingService.sse("s", feed()))
        next(chunks)
        streamkit.shutdown()
        child = os.fork()
        if not child:
            print(signals.is_shut_down(), signals._live, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(signals.is_shut_down())
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False set()\nTrue\n", "")


def test_the_middleware_of_each_protocol_chains_the_handlers() -> None:
    from streamkit_adapters import asgi, wsgi

    app: Callable[..., Any] = lambda *arguments: None  # noqa: E731
    for middleware in (asgi.StreamkitMiddleware, wsgi.StreamkitMiddleware):
        signal.signal(signal.SIGTERM, Handler())
        middleware(app)
        assert isinstance(signal.getsignal(signal.SIGTERM), signals._Handler)


class TestPythonsOwnHandlers:
    """Of SIGINT: asyncio looks whether the interpreter's is there, and later whether its own is."""

    @pytest.fixture(autouse=True)
    def _is_interrupted(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def test_a_middleware_leaves_it_alone(self) -> None:
        streamkit.shutdown_on_signals()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    @pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
    def test_it_is_back_once_the_last_live_stream_is_over(self, source_class: Any) -> None:
        streams = [iter(StreamingService.sse("s", source_class(["one"]))) for _ in range(2)]
        for chunks in streams:
            assert next(chunks) == b"data: one\n\n"
        for chunks in streams:
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            list(chunks)
        wait_until(lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    def test_asyncio_run_goes_on_to_be_cancelled_by_an_interrupt(self) -> None:
        """Also after one in which there were streams."""

        async def stream() -> None:
            async for _ in StreamingService.sse("s", iter("abc")):
                pass

        async def wait() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.sleep(WAIT)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        cancelled: list[bool] = []
        asyncio.run(stream())
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(wait())
        assert cancelled
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_an_interrupt_is_put_off_once_for_a_stream_that_does_not_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(signals, "MAX_DELAY", 0.01)
        release = threading.Event()
        chunks: Any = iter(StreamingService.sse("s", SyncSource(["one", release.wait])))
        next(chunks)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                threading.Event().wait(WAIT)
        release.set()
        chunks.close()

    def test_streams_begin_again_after_an_interrupt(self) -> None:
        """As in a shell, where that is not the end."""
        chunks = iter(StreamingService.sse("s", feed()))
        body = next(chunks)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            for chunk in chunks:
                body += chunk
            threading.Event().wait(WAIT)
        assert_retried(body, b"data: one\n\n")
        assert not signals.is_shut_down()
        assert list(StreamingService.sse("s", ["two"])) == [b"data: two\n\n"]


def test_a_process_that_may_not_send_itself_signals_says_so_once_and_streams(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a sandbox. The signal that was put off arrives all the same."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(log, "_said", set())
    handler = Handler()
    signal.signal(signal.SIGTERM, handler)
    chunks = iter(StreamingService.sse("s", feed()))
    body = next(chunks)
    kill = os.kill
    monkeypatch.setattr(os, "kill", refuse)
    signal.raise_signal(signal.SIGTERM)
    body += b"".join(chunks)
    assert_retried(body, b"data: one\n\n")
    wait_until(lambda: handler.calls == [0])
    for _ in range(2):
        thread = threading.Thread(target=list, args=(StreamingService.sse("s", ["x"]),))
        signal.signal(signal.SIGINT, Handler())
        thread.start()
        thread.join(WAIT)
    monkeypatch.setattr(os, "kill", kill)
    said = [record for record in caplog.records if "may not send itself signals" in record.message]
    assert len(said) == 1
