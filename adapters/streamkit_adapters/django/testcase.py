"""Streams within a ``TestCase``, whose data no connection but the test's own can see."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Final, Literal, cast

from asgiref.sync import AsyncToSync, sync_to_async
from django.db import connections

from streamkit.adapting import StreamResponse

__all__ = [
    "is_tested_on",
    "read_on_loop",
    "read_on_thread",
    "refuse_connections",
    "refusing_executor",
]

_tested_on: Final[ContextVar[Literal["thread", "loop"] | None]] = ContextVar(
    "tested_on", default=None
)
"""Where a test reads the stream of this context; None if no test does."""


def read_on_thread(stream: StreamResponse) -> bool:
    """Note in the stream's context that it is opened on this thread, if a test reads it.

    Returns whether one does: then the source is to be read on this thread as well, since it is the
    one whose connections see the test's data.
    """
    if not (_tests_run() and _in_test_case()):
        return False
    stream.context.run(_tested_on.set, "thread")
    return True


async def read_on_loop(stream: StreamResponse) -> None:
    """Note in the stream's context that it is opened on the running loop, if a test reads it."""
    if _tests_run() and await sync_to_async(_in_test_case)():
        stream.context.run(_tested_on.set, "loop")
        # The sync parts of the source run on the thread of the test, by the executor that it waits
        # with now. That need not be the one with which it waited for the view.
        executor = getattr(AsyncToSync.executors, "current", None)
        stream.context.run(setattr, AsyncToSync.executors, "current", executor)


def is_tested_on(place: Literal["thread", "loop"]) -> bool:
    """Whether this is the context of a stream that a test case reads in this ``place``."""
    return _tested_on.get() == place


def _tests_run() -> bool:
    """Whether there may be a ``TestCase``, asked at no cost to the streams of a site in service."""
    return "django.test.testcases" in sys.modules


def _in_test_case() -> bool:
    """Whether an open transaction is a ``TestCase``'s, as Django itself tells it from others."""
    return any(
        getattr(block, "_from_testcase", False)
        for connection in connections.all(initialized_only=True)
        for block in connection.atomic_blocks
    )


def refuse_connections() -> None:
    """Let this thread have no database connections: to use one raises RuntimeError."""
    for alias in connections:
        connections[alias] = cast("Any", _NoConnection())


def refusing_executor() -> ThreadPoolExecutor:
    """An executor of one thread that has no database connections."""
    return ThreadPoolExecutor(max_workers=1, initializer=refuse_connections)


class _NoConnection:
    """In the place of a connection that could not see the data of a ``TestCase``."""

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(
            "the data of a TestCase is in a transaction on the connection of the test, and this "
            "source runs on another thread: let a view that is tested with AsyncClient stream a "
            "queryset or another async source, one that is tested with Client a sync source, or "
            "make it a TransactionTestCase"
        )
