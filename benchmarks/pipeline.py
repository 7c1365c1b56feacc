"""The pipeline in process, against a plain loop, a hand-over by hand, and one chunk a row."""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

from streamkit import StreamingService, StreamResponse

from .measure import Run, print_table, rates
from .workload import asynchronous, encode_line, encode_lines, rows

__all__ = ["main"]

COUNT: Final = 500_000

BATCH: Final = 128
"""Rows that the plain loop encodes in one call, as many as the buffer of an export holds."""

Reader = Callable[[], int]
"""Reads a body to its end; returns how many chunks it has."""


def plain_loop() -> Iterator[bytes]:
    source = rows(COUNT)
    while batch := list(islice(source, BATCH)):
        yield encode_lines(batch)


async def async_plain_loop() -> AsyncIterator[bytes]:
    batch = []
    async for row in asynchronous(rows(COUNT)):
        batch.append(row)
        if len(batch) == BATCH:
            yield encode_lines(batch)
            batch.clear()
    yield encode_lines(batch)


class HandOver:
    """Reads the rows on a thread, and hands them over as often as they are encoded.

    This is the least by which a source goes on while a send waits.
    """

    def __init__(self, notify: Callable[[], object]) -> None:
        self._notify = notify
        self._rows: deque[Any] = deque()
        self._room = threading.Semaphore(0)
        self.has_ended = False
        threading.Thread(target=self._read).start()

    def _read(self) -> None:
        for row in rows(COUNT):
            self._rows.append(row)
            if len(self._rows) >= BATCH:
                self._notify()
                self._room.acquire()
        self.has_ended = True
        self._notify()

    def take(self) -> bytes:
        batch = [self._rows.popleft() for _ in range(len(self._rows))]
        self._room.release()
        return encode_lines(batch)


def two_threads() -> Iterator[bytes]:
    ready = threading.Semaphore(0)
    source = HandOver(ready.release)
    ended = False
    while not ended:
        ready.acquire()
        ended = source.has_ended
        yield source.take()


async def thread_and_loop() -> AsyncIterator[bytes]:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    source = HandOver(lambda: loop.call_soon_threadsafe(ready.set))
    ended = False
    while not ended:
        await ready.wait()
        ready.clear()
        ended = source.has_ended
        yield source.take()


def chunk_a_row() -> Iterator[bytes]:
    return map(encode_line, rows(COUNT))


async def async_chunk_a_row() -> AsyncIterator[bytes]:
    async for row in asynchronous(rows(COUNT)):
        yield encode_line(row)


def pipeline() -> StreamResponse:
    return export(rows(COUNT))


def async_pipeline() -> StreamResponse:
    return export(asynchronous(rows(COUNT)))


def export(source: Any) -> StreamResponse:
    return StreamingService.export("rows", source, "ndjson")


def on_thread(body: Callable[[], Iterable[bytes]]) -> Reader:
    """Reads ``body`` as a WSGI server would."""
    return lambda: sum(1 for _ in body())


def on_loop(body: Callable[[], AsyncIterable[bytes]]) -> Reader:
    """Reads ``body`` as an ASGI server would."""

    async def read() -> int:
        chunks = 0
        async for _ in body():
            chunks += 1
        return chunks

    return lambda: asyncio.run(read())


Name = tuple[str, str]
"""The kind of source, and the way it is read."""

PLAIN: Final = "plain loop"

READERS: Final[dict[Name, Reader]] = {
    ("sync", PLAIN): on_thread(plain_loop),
    ("sync", "two threads by hand"): on_thread(two_threads),
    ("sync", "a thread and a loop by hand"): on_loop(thread_and_loop),
    ("sync", "one chunk a row"): on_thread(chunk_a_row),
    ("sync", "streamkit, read by a thread"): on_thread(pipeline),
    ("sync", "streamkit, read by a loop"): on_loop(pipeline),
    ("async", PLAIN): on_loop(async_plain_loop),
    ("async", "one chunk a row"): on_loop(async_chunk_a_row),
    ("async", "streamkit, read by a thread"): on_thread(async_pipeline),
    ("async", "streamkit, read by a loop"): on_loop(async_pipeline),
}


def read_noting(chunks: Counter[Name], name: Name, read: Reader) -> None:
    chunks[name] = max(chunks[name], read())


def main() -> None:
    chunks: Counter[Name] = Counter()
    measured = rates(
        {
            name: Run(COUNT, partial(read_noting, chunks, name, read))
            for name, read in READERS.items()
        }
    )
    print_table(
        f"{COUNT:,} ndjson rows in process",
        ("source", "way", "rows/s", "time, plain loop = 1", "chunks at most"),
        [
            (
                source,
                way,
                f"{rate:,.0f}",
                f"{measured[source, PLAIN] / rate:.2f}",
                f"{chunks[source, way]:,}",
            )
            for (source, way), rate in measured.items()
        ],
    )


if __name__ == "__main__":
    main()
