"""Sync and async sources, thread and loop consumers, behind one face each: four combinations."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import pytest
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit import StreamResponse
from streamkit.adapting import Reply, Request, running_loop

WAIT = 5.0
"""Seconds after which a test that waits for an event has failed."""

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="unset")


class Source:
    """An iterator object that keeps account of what is done with it.

    ``elements`` may hold exceptions, which are raised, and callables, which are called.
    """

    def __init__(self, elements: Iterable[Any]) -> None:
        self._elements: Iterator[Any] = iter(elements)
        self.given = 0
        self.closes = 0
        self.closed = threading.Event()
        self.close_error: BaseException | None = None
        self.places: set[object] = set()
        self.marks: set[str] = set()

    def _give(self) -> Any:
        self._look_around()
        element = next(self._elements)
        if isinstance(element, BaseException):
            raise element
        self.given += 1
        return element() if callable(element) else element

    def _shut(self) -> None:
        self._look_around()
        self.closes += 1
        self.closed.set()
        if self.close_error is not None:
            raise self.close_error

    def _look_around(self) -> None:
        self.places.add(self._place())
        self.marks.add(mark.get())

    def _place(self) -> object:
        return threading.current_thread()


class SyncSource(Source):
    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._give()

    def close(self) -> None:
        self._shut()


class AsyncSource(Source):
    """Its callables may return an awaitable, which is awaited."""

    def _place(self) -> object:
        # Where there is no loop, what was never begun is closed without one.
        return asyncio.current_task() if running_loop() else super()._place()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            element = self._give()
        except StopIteration:
            raise StopAsyncIteration from None
        return await element if asyncio.iscoroutine(element) else element

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self._shut()


class ThreadReader:
    """A consumer like a WSGI server."""

    def open(self, response: StreamResponse) -> Self:
        self.chunks = iter(response)
        return self

    def begin(self, response: StreamResponse, method: str = "GET", **headers: str) -> Reply[Any]:
        """Answer a request with it. The body, if there is one, is what is read from then on."""
        asked = request(method, headers)
        reply: Reply[Any] = response.begin(asked, response.status, response.headers)
        self.chunks = reply.body
        return reply

    def next(self) -> bytes:
        return next(self.chunks)

    def leave(self) -> None:
        self.chunks.close()

    def drop(self, response: StreamResponse) -> None:
        response.close()

    def run(self, call: Callable[[], Any]) -> Any:
        return call()

    def rest(self) -> bytes:
        chunks = []
        while True:
            try:
                chunks.append(self.next())
            except StopIteration:
                return b"".join(chunks)

    def stop(self) -> None:
        pass


class LoopReader(ThreadReader):
    """A consumer like an ASGI server. Its loop runs while something is asked of it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def open(self, response: StreamResponse) -> Self:
        self.async_chunks = self.run(lambda: aiter(response))
        return self

    def begin(self, response: StreamResponse, method: str = "GET", **headers: str) -> Reply[Any]:
        async def begin() -> Reply[Any]:
            asked = request(method, headers)
            return await response.abegin(asked, response.status, response.headers)

        reply = self.runner.run(begin())
        self.async_chunks = reply.body
        return reply

    def next(self) -> bytes:
        async def take() -> bytes | None:
            return await anext(self.async_chunks, None)

        chunk = self.runner.run(take())
        if chunk is None:
            raise StopIteration
        return chunk

    def leave(self) -> None:
        self.runner.run(self.async_chunks.aclose())

    def drop(self, response: StreamResponse) -> None:
        async def close() -> None:
            before = asyncio.all_tasks()
            response.close()
            started = asyncio.all_tasks() - before
            if started:
                await asyncio.wait(started)

        self.runner.run(close())

    def run(self, call: Callable[[], Any]) -> Any:
        async def here() -> Any:
            return call()

        return self.runner.run(here())

    def stop(self) -> None:
        self.runner.close()


def request(method: str, headers: Mapping[str, str]) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method=method, headers=Headers(named))


class Combination:
    def __init__(self, source: type[SyncSource] | type[AsyncSource], reader: Any) -> None:
        self.source = source
        self.reader = reader

    @property
    def is_async(self) -> bool:
        return self.source is AsyncSource


COMBINATIONS = [
    pytest.param((source, reader), id=f"{source.__name__}-{reader.__name__}")
    for source in (SyncSource, AsyncSource)
    for reader in (ThreadReader, LoopReader)
]


def value(registry: CollectorRegistry, metric: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    )


def outcomes(registry: CollectorRegistry) -> dict[str, float]:
    """How many streams closed with each outcome, of those outcomes that there were."""
    return {
        sample.labels["outcome"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "stream_closed_total" and sample.value
    }


def let_stall(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """How long a client may take nothing, of a live stream or any other."""
    for limit in ("MAX_STALL", "MAX_REST"):
        monkeypatch.setattr(f"streamkit.stream.chunks.{limit}", seconds)


def wait_until(condition: Callable[[], bool]) -> None:
    """For what another thread does right after it has said that it is done."""
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(WAIT / 1000)
    raise AssertionError(f"not so after {WAIT} s")
