"""What the applications of the table stream.

The path of a request says what it wants, its query how much. ``name`` names the account of the
stream, ``source`` says whether its source is sync or async.
"""

import asyncio
import os
import queue
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from servers import control
from servers.state import Account

from streamkit import BaseStreamingService, Channel, Resumable, kind, lossless
from streamkit.stream import chunks

__all__ = ["answer", "asked"]

R = TypeVar("R")

answers = Resumable("servers")

if heartbeat := os.environ.get("TEST_HEARTBEAT"):
    kind.SSE = replace(kind.SSE, heartbeat=float(heartbeat))

# Before an adapter is imported, which takes them from there.
if stall := os.environ.get("TEST_MAX_STALL"):
    chunks.MAX_STALL = float(stall)  # type: ignore[misc]
if rest := os.environ.get("TEST_MAX_REST"):
    chunks.MAX_REST = float(rest)  # type: ignore[misc]


class SyncSource:
    """A generator, and an iterable around it that may be closed as well."""

    def __init__(self, account: Account, elements: Iterable[Any]) -> None:
        self._account = account
        self._elements = elements

    def __iter__(self) -> Iterator[Any]:
        account = self._account
        account.begun += 1
        try:
            for element in self._elements:
                account.given += 1
                yield element
        finally:
            account.ended += 1

    def close(self) -> None:
        self._account.closed += 1


class AsyncSource:
    """The same. It awaits nothing, unless its elements do."""

    def __init__(self, account: Account, elements: Iterable[Any] | AsyncIterator[Any]) -> None:
        self._account = account
        self._elements = elements

    async def __aiter__(self) -> AsyncIterator[Any]:
        control.loops.add(asyncio.get_running_loop())
        account = self._account
        account.begun += 1
        try:
            if isinstance(self._elements, AsyncIterator):
                async for element in self._elements:
                    account.given += 1
                    yield element
            else:
                for element in self._elements:
                    account.given += 1
                    yield element
        finally:
            account.ended += 1

    async def aclose(self) -> None:
        self._account.closed += 1


def letters(name: str) -> Iterator[str]:
    """What other requests tell a stream to send, until they tell it to end."""
    mailbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    control.mailboxes[name] = mailbox.put
    return iter(mailbox.get, None)


async def async_letters(name: str) -> AsyncIterator[str]:
    mailbox: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    control.mailboxes[name] = lambda text: loop.call_soon_threadsafe(mailbox.put_nowait, text)
    while (text := await mailbox.get()) is not None:
        yield text


class Query:
    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    def __getitem__(self, name: str) -> str:
        return self._parameters[name]

    def number(self, name: str) -> int | None:
        value = self._parameters.get(name)
        return None if value is None else int(value)

    def source(self, make: Callable[[int], Any]) -> SyncSource | AsyncSource:
        """``make`` of 0, 1, 2, ...: ``count`` of them, and then, if ``fails``, an exception.

        Without a ``count`` it never ends.
        """
        return self._source(map(make, self._numbers()))

    def letters(self) -> SyncSource | AsyncSource:
        is_async = self["source"] == "async"
        return self._source(async_letters(self["name"]) if is_async else letters(self["name"]))

    def _source(self, elements: Any) -> SyncSource | AsyncSource:
        account = control.accounts[self["name"]] = Account()
        return (AsyncSource if self["source"] == "async" else SyncSource)(account, elements)

    def _numbers(self) -> Iterator[int]:
        number = self.number("count")
        yield from count() if number is None else range(number)
        if self._parameters.get("fails"):
            raise RuntimeError("the source failed")


def answer(service: type[BaseStreamingService[R]], path: str, parameters: Mapping[str, str]) -> R:
    query = Query(parameters)
    match path:
        case "/sse":
            width = query.number("width") or 0
            return service.sse("events", query.source(lambda n: f"{n}".ljust(width, ".")))
        case "/channel":
            channel = Channel(query["name"])
            # A thread of the application's publishes, beside its loop if it has one.
            control.mailboxes[channel.name] = channel.publish
            is_lossless = query.number("lossless")
            return service.sse("channel", lossless(channel) if is_lossless else channel)
        case "/answer":
            return service.sse("answer", answers.start(query["name"], query.letters()))
        case "/follow":
            return service.sse("answer", answers.follow(query["name"]))
        case "/letters":
            return service.sse("letters", query.letters())
        case "/lines":
            return service.export("lines", query.letters(), "ndjson")
        case "/export":
            rows = query.source(lambda n: {"n": n, "text": f"row {n}"})
            return service.export("rows", rows, query["format"])  # type: ignore[arg-type]
        case "/download":
            pieces = query.source(lambda n: n.to_bytes(8, "big") * (64 * 1024 // 8))
            return service.download(pieces, filename="pieces.bin", size=query.number("size"))
        case "/digits":
            return service.download(b"0123456789", filename="digits.bin")
    raise LookupError(path)


def asked(query_string: str) -> Account:
    """That of the stream which a request asked for."""
    return control.accounts.get(dict(parse_qsl(query_string))["name"], Account())
