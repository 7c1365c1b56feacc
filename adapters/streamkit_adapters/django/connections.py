"""Sources with database connections of their own, which are closed with them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from typing import Any, cast

from asgiref.sync import AsyncToSync, SyncToAsync, ThreadSensitiveContext, _restore_context
from django.db import connections

from streamkit.adapting import aclose
from streamkit_adapters.django.testcase import (
    is_tested_on,
    refuse_connections,
    refusing_executor,
)

__all__ = ["connected", "move_here"]


def connected(source: Any) -> Any:
    """``source`` with the connections of whatever reads it: a thread, a task, or either."""
    if not hasattr(source, "__iter__"):
        return _AsyncSource(source)
    return _DualSource(source) if hasattr(source, "__aiter__") else _SyncSource(source)


class _WrappedSource:
    """A source, and its iterator once it was asked for."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._iterator: Any = None


class _SyncSource(_WrappedSource):
    """A source, and the database connections of the thread that reads it."""

    def __iter__(self) -> Iterator[Any]:
        move_here()
        if is_tested_on("loop"):
            refuse_connections()
        self._iterator = iter(self._source)
        return cast("Iterator[Any]", self._iterator)

    def close(self) -> None:
        try:
            # Whoever asked for the iterator closes that. What it came from is closed here.
            if self._iterator is not self._source and hasattr(self._source, "close"):
                self._source.close()
        finally:
            if self._iterator is not None and not is_tested_on("thread"):
                connections.close_all()


class _AsyncSource(_WrappedSource):
    """A source, and the database connections of a thread for the sync parts of Django."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self._thread = ThreadSensitiveContext()

    def __aiter__(self) -> AsyncIterator[Any]:
        move_here()
        if not is_tested_on("loop"):
            # The sync parts of this source get a thread of their own, and not that of the request,
            # which may be waiting for this source.
            AsyncToSync.executors.current = None
            SyncToAsync.thread_sensitive_context.set(self._thread)
        if is_tested_on("thread"):
            SyncToAsync.context_to_thread_executor[self._thread] = refusing_executor()
        self._iterator = aiter(self._source)
        return cast("AsyncIterator[Any]", self._iterator)

    async def aclose(self) -> None:
        try:
            if self._iterator is not self._source:
                await aclose(self._source)
        finally:
            executor = SyncToAsync.context_to_thread_executor.pop(self._thread, None)
            if executor is not None:
                await asyncio.get_running_loop().run_in_executor(executor, connections.close_all)
                executor.shutdown(wait=False)


class _DualSource(_SyncSource, _AsyncSource):
    """A source that is read either way."""


def move_here() -> None:
    """Let this thread have the request's language, time zone, script prefix and the like.

    asgiref keeps them in a context, and hides them from a thread that the context has come to by
    other ways than asgiref's own.
    """
    _restore_context(copy_context())
