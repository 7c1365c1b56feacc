"""Who keeps the answers of a process: those that are followed there, and those that are made."""

import logging
import time
from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from typing import Final

from streamkit import signals
from streamkit.channels.audience import Audience
from streamkit.log import say
from streamkit.resumable.log import Ending, Log, Name, lock
from streamkit.resumable.production import Production

__all__ = ["Keeper"]

MAX_CLOSING: Final = 1.0
"""Seconds that the end of a process is put off at most for sources to close."""


class Keeper(ABC):
    """Keeps the logs. Any thread may call it, and loops what is to be awaited."""

    def __init__(self) -> None:
        self._logs: dict[Name, Log] = {}
        self.running: dict[Log, Production] = {}
        """Those that are made here, and have not ended: the end of the process fails them."""

    def join(self, name: Name, loop: AbstractEventLoop | None) -> tuple[Log, Audience]:
        """The log for one more follower, on ``loop`` or a thread, and where that is to wait.

        It waits for nothing itself. ``leave`` follows, once.
        """
        with lock:
            log = self._logs.get(name)
            if log is None:
                log = self._logs[name] = Log(name)
            log.listeners += 1
            return log, log.audience(loop)

    def leave(self, log: Log, loop: AbstractEventLoop | None) -> None:
        """It has one follower less."""
        with lock:
            log.listeners -= 1
            if loop is not None:
                log.leave(loop)
            self._forget_unused(log)

    @abstractmethod
    def look_after(self, log: Log) -> None:
        """Nothing has come of it for a while: see that it does not wait for what nobody makes.

        It waits for nothing itself.
        """

    @abstractmethod
    def start(self, log: Log, production: Production, loop: AbstractEventLoop | None) -> None:
        """Have ``production`` make it, if it has not begun anywhere; else let that be discarded.

        To be called on ``loop``, where this waits for nothing, or on a thread. Raises what there is
        to be told of at once. What comes later is told by ``Log.fail``.
        """

    @abstractmethod
    def look(self, log: Log) -> int:
        """See to it that what there is of it comes to be known here, or that there is nothing.

        The number of the question is returned, for ``Log.is_unknown_to``.
        """

    @abstractmethod
    def stop(self, name: Name) -> bool:
        """End it, from any thread; whether it was running."""

    @abstractmethod
    async def astop(self, name: Name) -> bool:
        """``stop`` on an event loop."""

    @abstractmethod
    def end(self, log: Log, ending: Ending) -> bool:
        """It has ended, as its log has it; whether it was running here."""

    @abstractmethod
    def close(self) -> None:
        """Answers are kept elsewhere from now on. What is running goes on, and so do followers."""

    def forget(self) -> None:
        """This is a child of a fork: the answers of its parent are made there."""
        self.running.clear()

    def fail_all(self) -> None:
        """The process ends, and with it what is running: it has failed, and its sources close."""
        with lock:
            running = dict(self.running)
        if not running:
            return
        self._write_failures(running)
        for log, production in running.items():
            if self.end(log, Ending.FAILED):
                say(logging.WARNING, "%s has failed, since its process ends", production)
        closed_by = time.monotonic() + MAX_CLOSING
        while time.monotonic() < closed_by:
            if not any(production.is_closing for production in running.values()):
                break
            time.sleep(0.01)

    def _run(self, log: Log, epoch: int, production: Production) -> None:
        """It begins, and is made here. With the lock held; ``_hear_of_end`` follows without."""
        log.begin(epoch)
        self.running[log] = production

    def _hear_of_end(self) -> None:
        """What is running is to fail when the process ends."""
        signals.call_at_exit(self.fail_all)

    @abstractmethod
    def _write_failures(self, running: Mapping[Log, Production]) -> None:
        """Have told what follows these elsewhere, at once."""

    @abstractmethod
    def _forget_unused(self, log: Log) -> None:
        """Let go of it, if that is nothing to anybody. With the lock held."""
