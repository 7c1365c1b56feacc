"""500 answers of four processes in one Redis, of which one is killed; another follows them all."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter

from answers.crowd import Client
from redis_server import redis_server

from streamkit import channels
from streamkit.resumable.redis.script import LEASE

EACH = 125

ALLOWED = {"MainThread", "streamkit-answers", "streamkit-lost"}


def test_five_hundred_answers_leave_nothing_behind() -> None:
    with redis_server() as server:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "answers.crowd", server.url, f"{first}", f"{first + EACH}"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for first in range(0, 4 * EACH, EACH)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "began\n"
        killed, *others = processes
        until = time.monotonic() + 60
        while len(server.ask("KEYS", "*:log")) < 2 * EACH:
            assert time.monotonic() < until
            time.sleep(0.01)
        killed.kill()
        channels.use(server.url)
        ends = asyncio.run(follow_all())
        print(ends)
        for process in others:
            output, _ = process.communicate(timeout=120)
            account = json.loads(output.splitlines()[-1])
            assert account["closed"] == account["begun"] == [1] * EACH
            assert account["tasks"] == 0
            assert {*account["names"]} <= ALLOWED
        killed.communicate()
        assert ends["failed"] > 0
        assert ends["interrupted"] > 0
        until = time.monotonic() + LEASE + 5
        while server.ask("KEYS", "*:lease"):
            assert time.monotonic() < until
            time.sleep(0.1)
        logs = server.ask("KEYS", "*")
        assert len(logs) <= 4 * EACH
        assert all(0 < server.ask("PTTL", log) <= 3_600_000 for log in logs)
        channels.use(None)


async def follow_all() -> "Counter[str]":
    """How each of them ended, for one who came later."""
    clients = [Client(f"{number}") for number in range(4 * EACH)]

    async def follow(client: Client) -> None:
        # It may not have begun, and of the process that is killed some never do.
        until = time.monotonic() + 20
        while not client.numbers and not client.end and time.monotonic() < until:
            while await client.read(50):
                pass
            await asyncio.sleep(0.5)

    await asyncio.gather(*map(follow, clients))
    return Counter(client.end or ("done" if client.numbers else "nothing") for client in clients)
