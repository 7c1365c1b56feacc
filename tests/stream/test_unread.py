"""Sources that nothing was read from, closed where they are."""

import asyncio
import threading
from contextvars import copy_context
from typing import Any

import pytest
from combinations import WAIT, AsyncSource, SyncSource

from streamkit.source import Source
from streamkit.stream import unread
from streamkit.stream.unread import close_unread


class Closing:
    """What becomes of a source that is closed unread."""

    def __init__(self, source: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.over = threading.Event()
        self.error: BaseException | None = None
        close_unread(Source(source), copy_context(), self.end, loop)

    def end(self, error: BaseException | None) -> None:
        self.error = error
        self.over.set()

    def wait(self) -> BaseException | None:
        assert self.over.wait(WAIT)
        return self.error


def test_a_sync_source_is_closed_at_once() -> None:
    source = SyncSource([])
    closing = Closing(source)
    assert closing.over.is_set()
    assert source.places == {threading.current_thread()}


def test_a_sync_source_does_not_hold_a_loop_up() -> None:
    async def main() -> None:
        assert await asyncio.to_thread(Closing(source).wait) is None

    source = SyncSource([])
    asyncio.run(main())
    assert source.places != {threading.current_thread()}
    assert source.closes == 1


def test_a_sync_source_is_closed_on_the_loop_where_there_is_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            assert Closing(source).over.is_set()

    source = SyncSource([])
    asyncio.run(main())
    assert source.closes == 1


def test_an_async_source_is_closed_on_the_running_loop() -> None:
    async def main() -> None:
        closing = Closing(source)
        while not closing.over.is_set():  # noqa: ASYNC110 - it is for its turns that this waits
            await asyncio.sleep(0)

    source = AsyncSource([])
    asyncio.run(main())
    assert source.closes == 1
    assert not unread._closing


def test_an_async_source_is_closed_on_the_loop_of_its_consumer() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    source = AsyncSource([lambda: None])
    loops: list[object] = []
    closing = Closing(source, loop)
    assert closing.wait() is None
    loop.call_soon_threadsafe(lambda: loops.append(asyncio.get_running_loop()))
    loop.call_soon_threadsafe(loop.stop)
    thread.join(WAIT)
    loop.close()
    assert source.closes == 1
    assert loops == [loop]


@pytest.mark.parametrize("is_closed", [False, True], ids=["no-loop", "closed-loop"])
def test_an_async_source_whose_loop_is_gone_is_closed_on_the_background_loop(
    is_closed: bool,
) -> None:
    loop = asyncio.new_event_loop() if is_closed else None
    if loop is not None:
        loop.close()
    source = AsyncSource([])
    assert Closing(source, loop).wait() is None
    assert source.closes == 1


async def rows() -> Any:
    yield 1


class NeedsLoop:
    def __aiter__(self) -> Any:
        return self

    async def aclose(self) -> None:
        await asyncio.get_running_loop().create_future()


class WaitsForever:
    def __aiter__(self) -> Any:
        return self

    async def aclose(self) -> None:
        while True:  # noqa: ASYNC110 - as what is closed may do
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (rows(), None),
        (AsyncSource([]), None),
        (NeedsLoop(), "no running event loop"),
        (WaitsForever(), "there was no event loop to be had"),
    ],
    ids=["generator", "turns", "future", "for-ever"],
)
def test_without_any_loop_what_waits_for_nothing_is_closed(
    source: Any, error: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def background_loop() -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(unread, "background_loop", background_loop)
    closing = Closing(source)
    assert closing.over.is_set()
    assert (closing.error and str(closing.error)[: len(error or "")]) == error


@pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
def test_what_closing_raises_is_told(source_class: Any) -> None:
    source = source_class([])
    source.close_error = ZeroDivisionError()
    assert Closing(source).wait() is source.close_error
