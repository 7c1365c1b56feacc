"""The connection of one event loop to a Redis: what its tasks ask at the same time goes as one."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError, ResponseError

from streamkit.channels.redis.server import PATIENCE, Command, Server, away, unscripted

__all__ = ["Link"]

MAX_COMMANDS: Final = 500
"""How many commands go out in one piece: half a megabyte of small events, and a few milliseconds
of the server's time."""


class _Question(NamedTuple):
    commands: Sequence[Command]
    future: "asyncio.Future[list[Any]]"
    deadline: float
    """When it is to be answered, by the clock of the loop."""

    def fail(self, error: Exception) -> None:
        """There is no answer to it, if none has come."""
        if not self.future.done():
            self.future.set_exception(away(error))


class Link:
    """Used on its loop only. Nothing is connected, and no task runs, before something is asked."""

    def __init__(self, server: Server, closed: Callable[[], object]) -> None:
        """``closed`` is called when the loop is shut down, and this with it."""
        self._server = server
        self._on_closed = closed
        self._asked: list[_Question] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._connected: AsyncGenerator[Any] | None = None
        self._connection: Any = None

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to some commands. None is ever sent twice.

        Raises ConnectionError, within two seconds, if there is no answer, or one is an error: what
        was asked may be done all the same.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        # Twice, as connecting is not all of it; and from now on, as others may be asked before.
        self._asked.append(_Question(commands, future, loop.time() + 2 * PATIENCE))
        if self._task is None:
            # In no context of a caller's, as it is for others as well.
            self._task = loop.create_task(self._serve(), context=Context())
        replies = await future
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise away(reply) from reply
        return replies

    async def _serve(self) -> None:
        questions: list[_Question] = []
        try:
            while questions := self._take():
                try:
                    # The last one was asked last.
                    self._fail_late(questions[:-1])
                    async with asyncio.timeout_at(questions[-1].deadline):
                        await self._answer(questions)
                except Exception as error:
                    # Any, or nobody would be told. What was asked meanwhile was not sent yet, and
                    # goes out on another connection.
                    for question in questions:
                        question.fail(error)
                    await self._disconnect()
                finally:
                    if self._timer is not None:
                        self._timer.cancel()
        except BaseException:
            for question in questions + self._asked:
                question.future.cancel()
            self._asked.clear()
            await self._disconnect()
            raise
        finally:
            self._task = None

    def _fail_late(self, questions: list[_Question]) -> None:
        """Those whose time is over, now and later; what went out with them has its own."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for question in questions:
            if question.deadline > now:
                self._timer = loop.call_at(question.deadline, self._fail_late, questions)
                return
            question.fail(TimeoutError())

    def _take(self) -> list[_Question]:
        # Who was cancelled before anything was sent does not want it any more.
        self._asked = [question for question in self._asked if not question.future.done()]
        count = commands = 0
        for question in self._asked:
            commands += len(question.commands)
            if count and commands > MAX_COMMANDS:
                break
            count += 1
        questions, self._asked = self._asked[:count], self._asked[count:]
        return questions

    async def _answer(self, questions: list[_Question]) -> None:
        commands = [command for question in questions for command in question.commands]
        replies = await self._exchange(commands)
        unknown = unscripted(commands, replies)
        if unknown:
            again = await self._exchange([command for _, command in unknown])
            for (place, _), reply in zip(unknown, again, strict=True):
                replies[place] = reply
        at = 0
        for question in questions:
            count = len(question.commands)
            if not question.future.done():
                question.future.set_result(replies[at : at + count])
            at += count

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connection = await self._ready()
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        replies = []
        for _ in commands:
            try:
                replies.append(await connection.read_response(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies

    async def _ready(self) -> Any:
        if self._connection is not None:
            # There is no name that all versions have for whether the server has closed it.
            reader = self._connection._reader
            if reader is None or reader.at_eof():
                await self._disconnect()
        if self._connection is None:
            connection = self._server.async_connection()
            self._connected = self._until_closed(connection)
            await anext(self._connected)
            self._connection = connection
        return self._connection

    async def _until_closed(self, connection: Any) -> AsyncGenerator[Any]:
        # A generator, since a loop that is shut down closes those that are open on it: nothing else
        # is told to a library in time for its connections.
        try:
            await connection.connect()
            yield
        finally:
            # With the task it failed, and others wait for another one. Without, the loop ends, and
            # lets nothing be done later, which is how TLS closes.
            is_at_the_end = self._task is None
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=not is_at_the_end)
            self._connection = None
            if is_at_the_end:
                self._on_closed()

    async def _disconnect(self) -> None:
        connected, self._connected, self._connection = self._connected, None, None
        if connected is not None:
            await connected.aclose()
