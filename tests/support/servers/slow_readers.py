"""Many clients who read an event now and then, and a few who keep up."""

import json
import re
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from servers.bodies import PIECE
from servers.client import target
from servers.ending import Ending
from servers.harness import ROWS, WAIT, until

__all__ = ["Findings", "figures", "read_slowly", "soaked"]

RATE = 5000
"""Events a second that each source gives, if the machine lets it."""

WIDTH = 2000
"""Characters of an event."""

EVENT = WIDTH + len("data: \n\n")

MIB = 1024 * 1024

# Else it keeps what it had in its busiest moment, as far as that fragments it.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "32768", "MALLOC_TRIM_THRESHOLD_": "65536"}


def soaked(server: str, **environment: str) -> Ending:
    """A server of ``servers.apps.soak``."""
    (row,) = (row for row in ROWS if row.server == server)
    return Ending(replace(row, adapter="soak"), environment=environment | MEMORY)


def figures(server: Ending) -> Any:
    return json.loads(server.get("/figures"))


@dataclass
class Findings:
    made: int = 0
    received: int = 0
    dropped: int = 0
    missed: int = 0
    """By fast clients."""
    counted: int = 0
    """By the metric, of what was dropped."""
    late: int = 0
    """How many events a slow client got, at most, after its source had ended."""
    growth: int = 0
    """Bytes of memory, after everybody was connected."""


class Reader:
    """The client of one stream."""

    def __init__(self, server: Ending, query: str, receive_buffer: int | None = None) -> None:
        self._received = bytearray()
        self._socket = server.connect(receive_buffer=receive_buffer)
        # Of version 1.0, which puts nothing in between.
        self._socket.sendall(f"GET {query} HTTP/1.0\r\nConnection: close\r\n\r\n".encode())

    def close(self) -> None:
        self._socket.close()

    def read(self, size: int = MIB) -> None:
        """Read what is there, of so many bytes."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            self._received += self._socket.recv(size)

    def rest(self) -> int:
        """Read to the end; return how many events that were."""
        self._socket.settimeout(WAIT)
        before = len(self._received)
        while received := self._socket.recv(MIB):
            self._received += received
        return (len(self._received) - before) // EVENT

    def numbers(self) -> tuple[list[int], int]:
        """Of the events, and how many the comments say were dropped."""
        _, _, body = bytes(self._received).partition(b"\r\n\r\n")
        *blocks, rest = body.decode().split("\n\n")
        assert rest == ""
        comments = [block for block in blocks if block.startswith(":")]
        events = [block for block in blocks if not block.startswith(":")]
        found = (re.fullmatch(r": dropped (\d+)", comment) for comment in comments)
        numbers = [int(event.removeprefix("data: ").rstrip(".")) for event in events]
        return numbers, sum(int(each[1]) for each in found if each)


def read_slowly(server: Ending, source: str, *, slow: int, fast: int, seconds: float) -> Findings:
    """Have ``slow`` clients read an event a second, and ``fast`` ones whatever there is."""
    query = target("/sse", source=source, rate=RATE, width=WIDTH, seconds=seconds)
    found = Findings()
    before = figures(server)
    with ExitStack() as stack:

        def connect(receive_buffer: int | None = None) -> Reader:
            return stack.enter_context(closing(Reader(server, query, receive_buffer)))

        slow_ones = [connect(PIECE) for _ in range(slow)]
        fast_ones = [connect() for _ in range(fast)]
        started_at = time.monotonic()
        second = 0
        # By then the server's heap is as large as all of them make it at times.
        half = max(2, int(seconds / 2))
        while time.monotonic() < started_at + seconds + 1:
            for reader in fast_ones:
                reader.read()
            if time.monotonic() > started_at + second:
                for reader in slow_ones:
                    reader.read(EVENT)
                second += 1
                if second == half:
                    memory = figures(server)["memory"]
        found.growth = figures(server)["memory"] - memory
        for reader in fast_ones:
            reader.rest()
        for reader in slow_ones:
            found.late = max(found.late, reader.rest())
        until(lambda: figures(server)["totals"]["active"] == 0)
        after = figures(server)
        for reader in slow_ones:
            numbers, dropped = reader.numbers()
            assert numbers == sorted(numbers)
            # The present, and not the past.
            assert numbers[-64:] == [*range(numbers[-1] - 63, numbers[-1] + 1)]
            assert len(numbers) + dropped == numbers[-1] + 1
            found.received += len(numbers)
            found.dropped += dropped
        for reader in fast_ones:
            numbers, dropped = reader.numbers()
            assert numbers == sorted(numbers)
            assert len(numbers) + dropped == numbers[-1] + 1
            found.received += len(numbers)
            found.dropped += dropped
            found.missed += dropped
    accounts = after["accounts"][len(before["accounts"]) :]
    assert len(accounts) == slow + fast
    for account in accounts:
        assert (account["begun"], account["ended"], account["closed"]) == (1, 1, 1)
    found.made = sum(account["given"] for account in accounts)
    totals, earlier = after["totals"], before["totals"]
    found.counted = int(totals["dropped"] - earlier.get("dropped", 0))
    assert totals["elements"] - earlier.get("elements", 0) == found.made
    return found
