"""Live figures of this machine: one sampler, any number of followers."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

PERIOD = 0.25
"""Seconds between two samples."""

KEPT = 240
"""Samples that are kept for followers who come late, or come back: a minute of them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """``time`` in seconds since the epoch; ``cpu`` and ``memory`` in percent; bytes a second.

    ``id`` counts the periods since the epoch, so that it is the same in all processes.
    """

    id: int
    time: float
    cpu: float
    memory: float
    received: float
    sent: float


class Figures:
    """Samples the machine on a thread of its own, for as long as the process runs.

    Nobody asks the machine on behalf of one client: a follower reads the samples that are kept,
    starting after the last one that its client has seen.
    """

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._wakers: set[Callable[[], object]] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="figures", daemon=True).start()

    def follow(self, after: int, ended: threading.Event) -> Iterator[Sample]:
        """Every sample after the one with this id, until ``ended``: a sync source."""
        wake = threading.Event()
        with self._woken(wake.set):
            while not ended.is_set():
                for sample in self._since(after):
                    after = sample.id
                    yield sample
                wake.wait()
                wake.clear()

    async def follow_async(self, after: int, ended: threading.Event) -> AsyncIterator[Sample]:
        """The same as an async source, which needs no thread while it waits."""
        wake = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._woken(lambda: loop.call_soon_threadsafe(wake.set)):
            while not ended.is_set():
                for sample in self._since(after):
                    after = sample.id
                    yield sample
                await wake.wait()
                wake.clear()

    def wake(self) -> None:
        """Let every follower look for new samples, and whether it has ended."""
        with self._lock:
            for waker in self._wakers:
                waker()

    def _since(self, after: int) -> list[Sample]:
        with self._lock:
            samples = list(self._samples)
        return [sample for sample in samples if sample.id > after]

    @contextmanager
    def _woken(self, waker: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            self._wakers.add(waker)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.discard(waker)

    def _run(self) -> None:
        psutil.cpu_percent()  # the first call only starts the measurement
        traffic, measured = psutil.net_io_counters(), time.monotonic()
        cpu = received = sent = 0.0
        number = int(time.time() / PERIOD)
        while True:
            # Each one, though late; but not all those of a night in which the machine slept.
            number = max(number + 1, int(time.time() / PERIOD) - KEPT)
            time.sleep(max(0.0, number * PERIOD - time.time()))
            # A late one has too little time behind it to measure anything in, and is as the last.
            if time.monotonic() - measured > PERIOD / 2:
                before, since = traffic, measured
                traffic, measured = psutil.net_io_counters(), time.monotonic()
                cpu = psutil.cpu_percent()
                received = (traffic.bytes_recv - before.bytes_recv) / (measured - since)
                sent = (traffic.bytes_sent - before.bytes_sent) / (measured - since)
            memory = psutil.virtual_memory().percent
            sample = Sample(number, time.time(), cpu, memory, received, sent)
            with self._lock:
                self._samples.append(sample)
            self.wake()
