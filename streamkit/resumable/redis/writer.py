"""What writes a production to Redis: all that is ready at a time, in one round trip."""

import asyncio
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from streamkit.channels.hubs import lock
from streamkit.channels.redis.link import Link
from streamkit.channels.redis.server import Command, Server
from streamkit.loop import call_on
from streamkit.resumable.log import Ending, Log
from streamkit.resumable.production import Production, Writer
from streamkit.resumable.redis.script import LEASE, append, ending_from, packed
from streamkit.wake import LoopWake, ThreadWake

__all__ = ["Ends", "TaskWriter", "ThreadWriter"]

MAX_ENTRY: Final = 256 * 1024
"""Bytes of an entry of several events: a server handles it within a few milliseconds."""

MIN_DELAY: Final = 0.1
MAX_DELAY: Final = 1.0
"""Seconds between two tries while Redis is away."""


class Ends(Protocol):
    """Who is told that an answer has ended."""

    def end(self, log: Log, ending: Ending) -> object: ...


class Writing:
    """What is to be asked next, and what the replies mean. It asks nobody itself.

    What was asked once may be asked again: an entry has its place, and is written there once.
    """

    def __init__(self, production: Production, answers: Ends, database: int) -> None:
        self._production = production
        self._answers = answers
        self._database = database
        self._entries: list[list[bytes]] = []
        self._ending: Ending | None = None
        self._commands: list[Command] = []
        self._gives_up_at: float | None = None
        self._delay = MIN_DELAY
        self.is_over = False
        """Whether nothing more is to be written."""

    def is_ready(self) -> bool:
        """Whether there may be something to be written, or nothing more."""
        production = self._production
        return production.buffer.readable_now() or production.cut_to is not None

    def asked(self) -> Sequence[Command]:
        """The commands that are to be sent now; none if it is to wait, or is over."""
        production, log = self._production, self._production.log
        if log.ending is not None:
            # Somebody else has ended it.
            self.is_over = True
            return ()
        if not self._commands:
            if production.cut_to is not None:
                self._end(production.cut_to)
                return ()
            # Before the elements, as there are none behind it.
            ending = production.ending
            self._entries = portions(production.take())
            self._ending = Ending.FAILED if production.is_failing else ending
            fields = [*map(packed, self._entries)]
            if self._ending is not None:
                fields.append(b"e" + self._ending.value.encode())
            self._commands = [
                append(log.name, production.token, self._database, log.epoch, number, field)
                for number, field in enumerate(fields, len(log.entries) + 1)
            ]
        return self._commands

    def done(self, replies: Sequence[Any]) -> None:
        """It was done what was asked, or refused."""
        log = self._production.log
        self._commands = []
        self._gives_up_at, self._delay = None, MIN_DELAY
        refused = next((reply for reply in replies if reply != 1), None)
        with lock:
            if log.ending is not None:
                return
            for entry, reply in zip(self._entries, replies, strict=False):
                if reply == 1:
                    log.append(entry)
            wave = log.take()
        log.wake(wave)
        if refused is not None:
            self._end(ending_from(refused) or Ending.INTERRUPTED)
        elif self._ending is not None:
            self._end(self._ending)

    def failed(self, error: ConnectionError) -> float:
        """Nobody knows what was done. Returns the seconds to wait before it is asked again.

        Who waits for longer than a lease lasts has none by then, and is given up.
        """
        now = time.monotonic()
        if self._gives_up_at is None:
            self._gives_up_at = now + LEASE
        if now >= self._gives_up_at:
            self._production.fail(error)
            self._end(Ending.FAILED)
            return 0
        delay, self._delay = self._delay, min(2 * self._delay, MAX_DELAY)
        return delay

    def _end(self, ending: Ending) -> None:
        self.is_over = True
        self._answers.end(self._production.log, ending)


def portions(blocks: Sequence[bytes]) -> list[list[bytes]]:
    """The events of one drain as the entries that they are written in: one, unless large."""
    entries: list[list[bytes]] = []
    size = 0
    for block in blocks:
        if not entries or size + len(block) > MAX_ENTRY:
            entries.append([])
            size = 0
        entries[-1].append(block)
        size += len(block)
    return entries


class ThreadWriter(Writer):
    """Writes on a thread of its own."""

    def __init__(self, production: Production, answers: Ends, server: Server) -> None:
        self._writing = Writing(production, answers, server.database)
        self._server = server
        self.wake = self._wake = ThreadWake()
        self._interval: float | None = None
        """Seconds between two looks, where nobody notifies it."""

    def begin(self) -> None:
        threading.Thread(target=self.run, name="streamkit-writer", daemon=True).start()

    def run(self) -> None:
        """Write to the end."""
        writing = self._writing
        while not writing.is_over:
            commands = writing.asked()
            if commands:
                try:
                    replies = self._server.ask(commands)
                except ConnectionError as error:
                    time.sleep(writing.failed(error))
                else:
                    writing.done(replies)
            elif not writing.is_over:
                self._wake.wait(writing.is_ready, self._interval)


class TaskWriter(Writer):
    """Writes as a task of ``loop``."""

    def __init__(
        self,
        production: Production,
        answers: Ends,
        server: Server,
        link: Callable[[], Link],
        loop: AbstractEventLoop,
    ) -> None:
        self._writing = Writing(production, answers, server.database)
        self._rest = ThreadWriter(production, answers, server)
        self._rest._writing = self._writing
        self._rest._interval = 0.1
        self._link = link
        self._loop = loop
        self.wake = self._wake = LoopWake(loop)

    def begin(self) -> None:
        if not call_on(self._loop, self._start):
            raise RuntimeError("the event loop that the answer was to be written on is closed")

    def _start(self) -> None:
        task = self._loop.create_task(self._run())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    async def _run(self) -> None:
        writing = self._writing
        try:
            link = self._link()
            while not writing.is_over:
                commands = writing.asked()
                if commands:
                    try:
                        replies = await link.ask(commands)
                    except ConnectionError as error:
                        await asyncio.sleep(writing.failed(error))
                    else:
                        writing.done(replies)
                elif not writing.is_over:
                    await self._wake.wait(writing.is_ready, None)
        finally:
            if not writing.is_over:
                # The loop ends, and so does the source: that is yet to be written.
                self._rest.begin()


_tasks: set["asyncio.Task[None]"] = set()
"""A loop itself holds its tasks weakly."""
