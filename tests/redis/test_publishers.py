"""Whoever publishes without serving anybody: scripts, jobs, tasks, transactions."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django_site
import psutil
import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django_site.models import Customer
from redis_followers import Follower, publish
from redis_server import RedisServer
from workers.running import STARTS_WITHIN

from streamkit import Channel, channels
from streamkit.channels.redis.engine import Redis

SUPPORT = Path(django_site.__file__).parents[1]

JOBS = 40


def environment(redis: RedisServer) -> Mapping[str, str]:
    path = os.pathsep.join((str(SUPPORT), *sys.path))
    # Celery's messages are in another database than the channels.
    broker = redis.url.removesuffix("0") + "1"
    return {**os.environ, "PYTHONPATH": path, "STREAMKIT_CHANNELS": redis.url, "BROKER": broker}


def test_a_script(redis: RedisServer, process: Redis) -> None:
    follower = Follower(process, "script").placed()
    command = [sys.executable, "-m", "publishers.script"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(redis))
    event = follower.event()
    assert (done.returncode, done.stderr) == (0, "")
    assert (event.data, event.id) == ({"id": 7}, done.stdout.strip())


@contextmanager
def celery(redis: RedisServer) -> Iterator[subprocess.Popen[bytes]]:
    options = ["--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = [sys.executable, "-m", "celery", "--app", "publishers.jobs", "worker", *options]
    with subprocess.Popen(command, env=environment(redis)) as worker:
        try:
            yield worker
            worker.terminate()
            assert worker.wait(STARTS_WITHIN) == 0
        finally:
            worker.kill()


def test_tasks_of_celerys_forked_workers(redis: RedisServer, process: Redis) -> None:
    follower = Follower(process, "jobs").placed()
    with celery(redis) as worker:
        for moment in ("started", "ready"):
            follower.wait(lambda: not follower.is_silent(), STARTS_WITHIN)
            assert follower.data(1) == [moment]
        program = f"from publishers import jobs; [jobs.finish.delay(n) for n in range({JOBS})]"
        subprocess.run([sys.executable, "-c", program], env=environment(redis), check=True)
        # By the process that asks for them, which imports the same module.
        assert follower.data(1) == ["started"]
        events: list[Any] = follower.data(JOBS)
        assert sorted(each["number"] for each in events) == [*range(JOBS)]
        forked = {each.pid for each in psutil.Process(worker.pid).children()}
        assert {each["process"] for each in events} <= forked
    assert follower.is_silent()


def test_tasks_of_an_event_loop(redis: RedisServer, process: Redis, name: str) -> None:
    follower = Follower(process, name).placed()
    channels.use(redis.url)

    async def main() -> list[str]:
        tasks = [asyncio.create_task(Channel(name).apublish(number)) for number in range(100)]
        return await asyncio.gather(*tasks)

    ids = asyncio.run(main())
    events = [follower.event() for _ in range(100)]
    assert {event.id: event.data for event in events} == dict(zip(ids, range(100), strict=True))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[None]:
    connections.settings["default"]["NAME"] = tmp_path / "shop.sqlite3"
    call_command("migrate", run_syncdb=True, verbosity=0)
    yield
    connection.close()


def test_a_transaction_publishes_once_it_is_committed(
    redis: RedisServer, process: Redis, name: str, shop: None
) -> None:
    channels.use(redis.url)
    customers = Channel(name)
    follower = Follower(process, name).placed()

    def add(customer: str) -> None:
        saved = Customer.objects.create(name=customer)
        transaction.on_commit(lambda: customers.publish({"id": saved.pk, "name": customer}))

    with transaction.atomic():
        add("Ada")
        publish(process, name, "before the commit")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        add("Bob")
        raise ZeroDivisionError
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            add("Cid")
            raise ZeroDivisionError
        add("Dan")
    saved = list(Customer.objects.order_by("pk").values("id", "name"))
    assert [each["name"] for each in saved] == ["Ada", "Dan"]
    assert follower.data(3) == ["before the commit", *saved]
    assert follower.is_silent()
