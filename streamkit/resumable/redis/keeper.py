"""Answers in a Redis: each is made by one process, and followed by any."""

import asyncio
import logging
import secrets
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from streamkit.channels.redis.engine import Redis
from streamkit.channels.redis.server import Command
from streamkit.log import say
from streamkit.resumable.keeper import Keeper
from streamkit.resumable.log import Ending, Log, Name, lock
from streamkit.resumable.production import Production, Writer
from streamkit.resumable.redis.reader import AnswerReader
from streamkit.resumable.redis.script import claim, fail, stop
from streamkit.resumable.redis.writer import TaskWriter, ThreadWriter

__all__ = ["RedisKeeper"]


class RedisKeeper(Keeper):
    """What is asked of Redis is asked where the caller is; what comes from it, one thread reads."""

    def __init__(self, engine: Redis) -> None:
        super().__init__()
        self._engine = engine
        self._server = engine.server
        self._process = secrets.token_hex(8).encode()
        self._tokens = count(1)
        self.followed: dict[Log, None] = {}
        self._reader: AnswerReader | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def look_after(self, log: Log) -> None:
        """Who renews its lease does that, here or elsewhere."""

    def start(self, log: Log, production: Production, loop: AbstractEventLoop | None) -> None:
        with lock:
            is_first = not log.epoch and not log.is_claimed
            if is_first:
                log.is_claimed = True
                production.token = b"%b:%d" % (self._process, next(self._tokens))
        if not is_first:
            production.discard()
            return
        asked = [claim(log.name, production.token, self._server.database)]
        if loop is None:
            try:
                (reply,) = self._server.ask(asked)
            except BaseException as error:
                production.discard()
                self._fail(log, error)
                raise
            try:
                self._begin(log, production, reply)
            except BaseException as error:
                self._fail(log, error)
                with suppress(ConnectionError):
                    self._server.ask([self._failure(log, production)])
                raise
        else:
            task = loop.create_task(self._claim(log, production, asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _claim(self, log: Log, production: Production, asked: list[Any]) -> None:
        try:
            (reply,) = await self._engine.link().ask(asked)
        except BaseException as error:
            production.discard()
            self._fail(log, error)
            if not isinstance(error, Exception):
                raise
            return
        try:
            self._begin(log, production, reply)
        except Exception as error:
            self._fail(log, error)
            say(logging.ERROR, "resumable %r, %r could not begin", *log.name, error=error)
            with suppress(ConnectionError):
                await self._engine.link().ask([self._failure(log, production)])

    def look(self, log: Log) -> int:
        with lock:
            log.asked += 1
            if not log.epoch and not log.is_claimed:
                self.followed[log] = None
                self._reading().want(log)
            return log.asked

    def stop(self, name: Name) -> bool:
        (reply,) = self._server.ask([stop(name, self._server.database)])
        return self._stopped(name, reply)

    async def astop(self, name: Name) -> bool:
        (reply,) = await self._engine.link().ask([stop(name, self._server.database)])
        return self._stopped(name, reply)

    def close(self) -> None:
        with lock:
            self._is_closed = True
            if self._reader is not None:
                self._reader.is_last = True
                self._reader.wake()

    def forget(self) -> None:
        if self._reader is not None:
            self._reader.forget()
        super().forget()
        self.followed.clear()

    def end(self, log: Log, ending: Ending) -> bool:
        with lock:
            production = self.running.pop(log, None)
            if log.ending is None:
                log.end(ending)
            wave = log.take()
            self._forget_unused(log)
        log.wake(wave)
        if production is not None:
            production.end(ending)
        return production is not None

    def cut(self, log: Log, ending: Ending) -> None:
        """It was ended by another: its writer ends it here, behind what it has written."""
        with lock:
            production = self.running.get(log)
        if production is not None:
            production.cut(ending)

    def _stopped(self, name: Name, reply: Any) -> bool:
        log = self._logs.get(name)
        if reply == 1 and log is not None:
            self.cut(log, Ending.STOPPED)
        return bool(reply == 1)

    def _begin(self, log: Log, production: Production, reply: Any) -> None:
        """Redis says whether this process is to make it."""
        if reply is None:
            production.discard()
            with lock:
                log.asked += 1
                self.followed[log] = None
                self._reading().want(log)
                log.is_claimed = False
                # All who followed may have left meanwhile.
                self._forget_unused(log)
            return
        with lock:
            self.followed.pop(log, None)
            # It was let go of meanwhile, if all who followed have left.
            self._logs[log.name] = log
            self._run(log, int(reply), production)
            log.is_claimed = False
        try:
            self._hear_of_end()
            production.start(log, self._writer)
        except BaseException:
            self.end(log, Ending.FAILED)
            raise

    def _fail(self, log: Log, error: BaseException) -> None:
        """It is not known here whether there is such an answer, or it could not be begun."""
        with lock:
            if self._logs.get(log.name) is log:
                del self._logs[log.name]
            self.followed.pop(log, None)
            log.fail(error)
            log.is_claimed = False
            wave = log.take()
        log.wake(wave)

    def _writer(self, production: Production, loop: AbstractEventLoop | None) -> Writer:
        with lock:
            # It keeps the lease, and hears of stops.
            self._reading()
        if loop is None:
            return ThreadWriter(production, self, self._server)
        return TaskWriter(production, self, self._server, self._engine.link, loop)

    def _reading(self) -> AnswerReader:
        reader = self._reader
        if reader is None or reader.has_ended:
            reader = self._reader = AnswerReader(self._server, self, self._process)
            reader.is_last = self._is_closed
        return reader

    def _forget_unused(self, log: Log) -> None:
        # Redis has it.
        if log.listeners or log in self.running or log.is_claimed:
            return
        self.followed.pop(log, None)
        if self._logs.get(log.name) is log:
            del self._logs[log.name]

    def _failure(self, log: Log, production: Production) -> Command:
        return fail(log.name, production.token, self._server.database)

    def _write_failures(self, running: Mapping[Log, Production]) -> None:
        # At once, since a server that is away costs each that is asked by itself two seconds.
        with suppress(ConnectionError):
            self._server.ask([self._failure(*each) for each in running.items()])
