"""A process that publishes from threads and from a loop: ``python -m publishers.crowd CHANNEL``.

It does so until its standard input ends, and then says how that went.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable

from streamkit import Channel, channels

THREADS = TASKS = 2

PAUSE = 0.5
"""Seconds between two events of each."""


class Account:
    def __init__(self) -> None:
        self.published: list[str] = []
        self.refused = 0
        self.longest = 0.0

    def note(self, begun: float, event_id: str | None) -> None:
        self.longest = max(self.longest, time.monotonic() - begun)
        if event_id is None:
            self.refused += 1
        else:
            self.published.append(event_id)


def publish(channel: Channel, account: Account, is_over: Callable[[], bool]) -> None:
    while not is_over():
        begun = time.monotonic()
        try:
            account.note(begun, channel.publish({"at": time.time()}))
        except ConnectionError:
            account.note(begun, None)
        time.sleep(PAUSE)


async def apublish(channel: Channel, account: Account, is_over: Callable[[], bool]) -> None:
    while not is_over():
        begun = time.monotonic()
        try:
            account.note(begun, await channel.apublish({"at": time.time()}))
        except ConnectionError:
            account.note(begun, None)
        await asyncio.sleep(PAUSE)


def main(name: str) -> None:
    # The first event would do so: to import redis-py takes long where much else is done.
    channels.use(os.environ["STREAMKIT_CHANNELS"])
    channel, over = Channel(name), threading.Event()
    accounts = [Account() for _ in range(THREADS + TASKS)]
    threads = [
        threading.Thread(target=publish, args=(channel, account, over.is_set))
        for account in accounts[:THREADS]
    ]

    async def tasks() -> None:
        await asyncio.gather(
            *(apublish(channel, account, over.is_set) for account in accounts[THREADS:])
        )

    threads.append(threading.Thread(target=asyncio.run, args=(tasks(),)))
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    told = {
        "published": [event_id for account in accounts for event_id in account.published],
        "refused": sum(account.refused for account in accounts),
        "longest": max(account.longest for account in accounts),
        "threads": [thread.name for thread in threading.enumerate()],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
