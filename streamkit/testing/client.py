"""A client of one response, who reads step by step and may leave: for sync and for async tests."""

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from werkzeug.datastructures import Headers

from streamkit.loop import running_loop
from streamkit.testing.body import Body
from streamkit.testing.exchange import Exchange
from streamkit.testing.server import AsyncServer, Server
from streamkit.testing.sse_decoder import Event

__all__ = ["TIMEOUT", "AsyncClient", "Client"]

T = TypeVar("T")

TIMEOUT: Final = 5.0
"""Seconds that a client waits for what it is asked for, unless told otherwise.

A judgement: a test that passes never takes them, and one that hangs fails while somebody watches.
"""

CHECK_INTERVAL: Final = 0.005
"""Seconds between two looks at a source that is to close.

As long as one thread has the interpreter before another may run (``sys.getswitchinterval()``).
"""

HAS_DISCONNECTED: Final = "the client has disconnected"
"""Why nothing more will come, once the client has left."""


class Reader:
    """What both clients are but for the waiting."""

    _body: Body

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._over = ""
        """Why nothing more will come."""

    @property
    def status(self) -> int:
        """The status code."""
        assert self._exchange.status is not None
        return self._exchange.status

    @property
    def headers(self) -> Headers:
        """The headers, under their names in any case."""
        return self._exchange.headers

    def _begin(self, chunk: bytes | None) -> None:
        if self._exchange.status is None:
            if chunk is None:
                raise AssertionError("the app returned without a response")
            raise TimeoutError(f"no head of a response within {TIMEOUT:g} s")
        self._body = Body(self.status, self.headers)
        self._take(chunk, "first chunk", TIMEOUT)

    def _take(self, chunk: bytes | None, what: str, timeout: float) -> None:
        """Note what a server gave that was asked for ``what``."""
        if chunk is None:
            self._over = "the response has ended"
        elif chunk:
            self._body.feed(chunk)
        else:
            raise TimeoutError(f"no {what} within {timeout:g} s. {self._body}")

    def _expect_more(self, what: str) -> None:
        if self._over:
            raise AssertionError(f"no {what}: {self._over}. {self._body}")

    def _expect_heartbeat(self) -> None:
        if not self._exchange.has_heartbeat:
            raise AssertionError(f"no heartbeat: only streams of sse have one. {self._body}")

    def _is_closed(self, deadline: float) -> bool:
        if not self._exchange.streams:
            raise AssertionError(f"no source: the response is no stream. {self._body}")
        if self._exchange.is_closed:
            return True
        if time.monotonic() < deadline:
            return False
        raise AssertionError(
            f"the source is not closed: {self._over or 'the response goes on'}. {self._body}"
        )


class Client(Reader):
    """The client of a sync test, made by ``connect``.

    Each way of reading has a place of its own in the body: what one has passed over, another still
    reads. All of them wait up to ``timeout`` seconds, and then raise TimeoutError, after which they
    may be called again; and AssertionError if the response ends or is not of that kind. What the
    source or the app raises is raised unchanged.
    """

    def __init__(self, server: Server, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._server = server

    def __enter__(self) -> Self:
        if running_loop() is not None:
            raise RuntimeError("on an event loop a client is connected by 'async with aconnect()'")
        try:
            self._begin(self._server.next(time.monotonic() + TIMEOUT))
        except BaseException:
            self._server.leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()

    def event(self, timeout: float = TIMEOUT) -> Event:
        """The next server-sent event."""
        self._body.expect_sse()
        return self._next(self._body.events, "event", timeout)

    def comment(self, timeout: float = TIMEOUT) -> str:
        """The next comment line, such as ``dropped 3``; heartbeats are left out."""
        self._body.expect_sse()
        return self._next(self._body.comments, "comment", timeout)

    def row(self, timeout: float = TIMEOUT) -> Any:
        """The next row of an export: a JSON value; in csv a list of str, the header first."""
        self._body.expect_rows()
        return self._next(self._body.rows, "row", timeout)

    def chunk(self, timeout: float = TIMEOUT) -> bytes:
        """The next chunk, as the server was given it."""
        return self._next(self._body.chunks, "chunk", timeout)

    def read(self, timeout: float = TIMEOUT) -> bytes:
        """The body to its end, from its start or after the last ``chunk``."""
        deadline = time.monotonic() + timeout
        while not self._over:
            self._take(self._server.next(deadline), "end", timeout)
        return self._body.rest()

    def heartbeat(self, timeout: float = TIMEOUT) -> None:
        """Let it be time for the heartbeat, and wait until it arrives."""
        self._expect_heartbeat()
        deadline = time.monotonic() + timeout
        seen = self._body.heartbeats
        self._server.beat()
        while self._body.heartbeats == seen:
            self._expect_more("heartbeat")
            self._take(self._server.next(deadline), "heartbeat", timeout)

    def shutdown(self) -> None:
        """Retire its live streams, as ``streamkit.shutdown()`` does all of a process for good."""
        self._exchange.retire()

    def disconnect(self) -> None:
        """Leave, as a closed connection tells the server.

        Raises what the app raises then, and AssertionError if it goes on for 5 seconds.
        """
        if self._over != HAS_DISCONNECTED:
            self._over = HAS_DISCONNECTED
            self._server.leave()

    def assert_source_closed(self, timeout: float = TIMEOUT) -> None:
        """Wait until the source is closed. Raises AssertionError if it is not."""
        deadline = time.monotonic() + timeout
        while not self._is_closed(deadline):
            time.sleep(CHECK_INTERVAL)

    def _next(self, queue: deque[T], what: str, timeout: float) -> T:
        deadline = time.monotonic() + timeout
        while not queue:
            self._expect_more(what)
            self._take(self._server.next(deadline), what, timeout)
        return queue.popleft()


class AsyncClient(Reader):
    """The client of an async test, made by ``aconnect``: a ``Client`` whose methods are awaited."""

    def __init__(self, server: AsyncServer, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._server = server

    async def __aenter__(self) -> Self:
        try:
            self._begin(await self._server.next(time.monotonic() + TIMEOUT))
        except BaseException:
            await self._server.leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()

    async def event(self, timeout: float = TIMEOUT) -> Event:
        """The next server-sent event."""
        self._body.expect_sse()
        return await self._next(self._body.events, "event", timeout)

    async def comment(self, timeout: float = TIMEOUT) -> str:
        """The next comment line, such as ``dropped 3``; heartbeats are left out."""
        self._body.expect_sse()
        return await self._next(self._body.comments, "comment", timeout)

    async def row(self, timeout: float = TIMEOUT) -> Any:
        """The next row of an export: a JSON value; in csv a list of str, the header first."""
        self._body.expect_rows()
        return await self._next(self._body.rows, "row", timeout)

    async def chunk(self, timeout: float = TIMEOUT) -> bytes:
        """The next chunk, as the server was given it."""
        return await self._next(self._body.chunks, "chunk", timeout)

    async def read(self, timeout: float = TIMEOUT) -> bytes:
        """The body to its end, from its start or after the last ``chunk``."""
        deadline = time.monotonic() + timeout
        while not self._over:
            self._take(await self._server.next(deadline), "end", timeout)
        return self._body.rest()

    async def heartbeat(self, timeout: float = TIMEOUT) -> None:
        """Let it be time for the heartbeat, and wait until it arrives."""
        self._expect_heartbeat()
        deadline = time.monotonic() + timeout
        seen = self._body.heartbeats
        await self._server.beat()
        while self._body.heartbeats == seen:
            self._expect_more("heartbeat")
            self._take(await self._server.next(deadline), "heartbeat", timeout)

    async def shutdown(self) -> None:
        """Retire its live streams, as ``streamkit.shutdown()`` does all of a process for good."""
        self._exchange.retire()

    async def disconnect(self) -> None:
        """Leave, as a closed connection tells the server.

        Raises what the app raises then, and AssertionError if it goes on for 5 seconds.
        """
        if self._over != HAS_DISCONNECTED:
            self._over = HAS_DISCONNECTED
            await self._server.leave()

    async def assert_source_closed(self, timeout: float = TIMEOUT) -> None:
        """Wait until the source is closed. Raises AssertionError if it is not."""
        deadline = time.monotonic() + timeout
        while not self._is_closed(deadline):  # noqa: ASYNC110 (it closes on any thread or loop)
            await asyncio.sleep(CHECK_INTERVAL)

    async def _next(self, queue: deque[T], what: str, timeout: float) -> T:
        deadline = time.monotonic() + timeout
        while not queue:
            self._expect_more(what)
            self._take(await self._server.next(deadline), what, timeout)
        return queue.popleft()
