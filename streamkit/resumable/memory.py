"""The answers of one process, in its memory."""

import secrets
import time
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from typing import Final

from streamkit.channels.audience import Audience
from streamkit.resumable.keeper import Keeper
from streamkit.resumable.log import Ending, Log, Name, lock
from streamkit.resumable.production import Production, Writer

__all__ = ["KEEP_FOR", "MemoryKeeper"]

KEEP_FOR: Final = 3600.0
"""Seconds that an answer is kept after its end: for whoever comes back to it from a meeting."""

MAX_BYTES: Final = 256 * 1024 * 1024
"""What all answers that have ended take together: some 50,000 of a few kilobytes. Beyond that the
ones go first that have ended first, if nobody follows them.
"""

SWEEP_INTERVAL: Final = 60.0
"""Seconds between two looks for answers to let go of. Nothing waits for them: it is done by who
comes for one then."""

EVENT_BYTES: Final = 200
"""What an event takes beside its own bytes: its id, and the objects that it is in."""


class MemoryKeeper(Keeper):
    """Logs that are of this process alone, and end with it.

    It waits for nothing, so that what is to be awaited is the same as what is not.
    """

    def __init__(self) -> None:
        super().__init__()
        # Those that have ended, in this order, and what each of them takes.
        self._ended: dict[Log, int] = {}
        self._weight = 0
        self._last_epoch = 0
        self._own = secrets.randbelow(1000)
        self._sweeps_at = time.monotonic() + SWEEP_INTERVAL

    def join(self, name: Name, loop: AbstractEventLoop | None) -> tuple[Log, Audience]:
        with lock:
            self._sweep()
        joined = super().join(name, loop)
        self.look_after(joined[0])
        return joined

    def look_after(self, log: Log) -> None:
        production = self.running.get(log)
        if production is not None and production.is_orphaned:
            self.end(log, Ending.FAILED)

    def start(self, log: Log, production: Production, loop: AbstractEventLoop | None) -> None:
        with lock:
            if not log.epoch:
                # It was let go of meanwhile, if all who followed have left, and there may be
                # another since.
                log = self._logs.setdefault(log.name, log)
            is_first = not log.epoch
            if is_first:
                self._run(log, self._epoch(), production)
        if not is_first:
            production.discard()
            return
        try:
            self._hear_of_end()
            production.start(log, lambda production, _: _Writer(production, self))
        except BaseException:
            # Nothing was made, and another try may come to more.
            self.end(log, Ending.FAILED)
            with lock:
                self._forget(log)
            raise

    def look(self, log: Log) -> int:
        with lock:
            log.asked += 1
            log.unknown_for = log.asked
            return log.asked

    def stop(self, name: Name) -> bool:
        with lock:
            log = self._logs.get(name)
        return log is not None and self.end(log, Ending.STOPPED)

    async def astop(self, name: Name) -> bool:
        return self.stop(name)

    def close(self) -> None:
        """It has nothing that would keep it here."""

    def end(self, log: Log, ending: Ending) -> bool:
        with lock:
            if not log.is_running:
                return False
            log.end(ending)
            production = self.running.pop(log, None)
            self._ended[log] = weight = log.size + EVENT_BYTES * sum(n for _, n in log.entries)
            self._weight += weight
            self._make_room()
            wave = log.take()
        log.wake(wave)
        if production is not None:
            production.end(ending)
        return True

    def _epoch(self) -> int:
        # Milliseconds, and a number of this process's own: no two give the same.
        now = time.time_ns() // 1_000_000
        self._last_epoch = max(now, self._last_epoch + 1)
        return self._last_epoch * 1000 + self._own

    def _sweep(self) -> None:
        now = time.monotonic()
        if now < self._sweeps_at:
            return
        self._sweeps_at = now + SWEEP_INTERVAL
        for log in [*self._ended]:
            if log.ended_at >= now - KEEP_FOR:
                break
            self._forget(log)

    def _make_room(self) -> None:
        if self._weight > MAX_BYTES:
            for log in [*self._ended]:
                if not log.listeners:
                    self._forget(log)
                    if self._weight <= MAX_BYTES:
                        break

    def _write_failures(self, running: Mapping[Log, Production]) -> None:
        """Nothing of it is followed elsewhere."""

    def _forget_unused(self, log: Log) -> None:
        if not log.listeners and not log.epoch:
            self._forget(log)

    def _forget(self, log: Log) -> None:
        self._weight -= self._ended.pop(log, 0)
        if self._logs.get(log.name) is log:
            del self._logs[log.name]


class _Writer(Writer):
    """Writes where the source is read, as each element comes: that waits for nothing."""

    armed = True

    def __init__(self, production: Production, keeper: MemoryKeeper) -> None:
        self._production = production
        self._keeper = keeper
        self.wake = self

    def begin(self) -> None:
        """It does nothing before it is notified."""

    def notify(self) -> None:
        production = self._production
        log = production.log
        if log.ending is not None:
            return
        blocks = production.take()
        if blocks:
            with lock:
                # Another thread may have stopped it meanwhile.
                if log.ending is not None:
                    return
                log.append(blocks)
                wave = log.take()
            log.wake(wave)
        # Only behind the last element is it so, as all of this is one thread or task.
        if production.ending is not None:
            self._keeper.end(log, production.ending)
