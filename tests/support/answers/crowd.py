"""A process that makes some answers, with clients that come and go: ``python -m answers.crowd``.

It says on its standard output when all have begun, and at its end how each source fared.
"""

import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from werkzeug.datastructures import Headers

from streamkit import Resumable, SourceFailed, StreamingService, channels
from streamkit.adapting import Request
from streamkit.testing import SSEDecoder

__all__ = ["NAME", "Client"]

NAME = "crowd"

answers = Resumable(NAME)


class Client:
    """One who comes back, and has every number once and in order."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.numbers: list[int] = []
        self.end = ""
        self._last_event_id: str | None = None

    async def read(self, at_most: float, source: Any = None) -> bool:
        """Read about so many events; whether there may be more."""
        answer = answers.follow(self._key) if source is None else answers.start(self._key, source)
        response = StreamingService.sse("crowd", answer)
        headers = Headers({"Accept": "text/event-stream"})
        if self._last_event_id is not None:
            headers["Last-Event-ID"] = self._last_event_id
        request = Request(method="GET", headers=headers)
        reply = await response.abegin(request, response.status, response.headers)
        if isinstance(reply.body, bytes):
            return False
        decoder, events = SSEDecoder(), 0
        chunks: Any = reply.body
        try:
            async for chunk in chunks:
                for event in decoder.feed(chunk):
                    events += 1
                    self._last_event_id = event.last_event_id
                    if event.type == "error":
                        self.end = json.loads(event.data)["error"]
                    else:
                        assert int(event.data) == len(self.numbers), (self._key, event)
                        self.numbers.append(int(event.data))
                if events >= at_most:
                    return True
        except SourceFailed:
            assert self.end == "failed"
        finally:
            await chunks.aclose()
        return False


class Account:
    def __init__(self, choose: random.Random) -> None:
        self.begun = self.closed = 0
        self._count = choose.randrange(200)
        self._pause = choose.choice([0, 0, 0.002])
        self._fails = choose.random() < 0.2

    def sync(self) -> Iterator[str]:
        self.begun += 1
        try:
            for number in range(self._count):
                yield f"{number}"
                time.sleep(self._pause)
            if self._fails:
                raise ValueError("one that fails")
        finally:
            self.closed += 1

    async def on_loop(self) -> AsyncIterator[str]:
        self.begun += 1
        try:
            for number in range(self._count):
                yield f"{number}"
                await asyncio.sleep(self._pause)
            if self._fails:
                raise ValueError("one that fails")
        finally:
            self.closed += 1


async def live(number: int, account: Account, choose: random.Random) -> None:
    key = f"{number}"
    client = Client(key)
    source = account.sync() if choose.random() < 0.3 else account.on_loop()
    goes_on = await client.read(choose.randrange(1, 50), source)
    while goes_on:
        await asyncio.sleep(choose.random() / 50)
        if choose.random() < 0.1:
            await answers.astop(key)
        if choose.random() < 0.1:
            return
        goes_on = await client.read(choose.randrange(1, 50))


async def main(first: int, last: int) -> None:
    choose = random.Random(first)
    accounts = [Account(choose) for _ in range(first, last)]
    gate = asyncio.Semaphore(50)

    async def one(number: int, account: Account) -> None:
        async with gate:
            await live(number, account, random.Random(number))

    threads = threading.active_count()
    print("began", flush=True)
    async with asyncio.TaskGroup() as tasks:
        for number, account in zip(range(first, last), accounts, strict=True):
            tasks.create_task(one(number, account))
    for _ in range(3000):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        is_over = all(account.closed == account.begun for account in accounts)
        if is_over and not others:
            break
        await asyncio.sleep(0.01)
    print(
        json.dumps(
            {
                "closed": [account.closed for account in accounts],
                "begun": [account.begun for account in accounts],
                "tasks": len(others),
                # The reader stays for a minute, and who looks for lost streams for good.
                "threads": threading.active_count() - threads,
                "names": sorted(thread.name for thread in threading.enumerate()),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    channels.use(sys.argv[1])
    asyncio.run(main(int(sys.argv[2]), int(sys.argv[3])))
