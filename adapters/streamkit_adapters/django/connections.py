"""The database connections of a stream, which are its source's own, and those of its view."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, cast
from weakref import WeakSet

from asgiref.sync import AsyncToSync, SyncToAsync, ThreadSensitiveContext, _restore_context
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from streamkit.adapting import StreamResponse, aclose
from streamkit_adapters.django.testcase import (
    is_tested_on,
    refuse_connections,
    refusing_executor,
)

__all__ = ["connected", "give_back", "give_back_elsewhere", "move_here"]

logger: Final = logging.getLogger("streamkit")

_in_use: Final["WeakSet[BaseDatabaseWrapper]"] = WeakSet()
"""The connections of views that a stream goes on to read by, with a cursor that the view began."""


def connected(source: Any) -> Any:
    """``source`` with the connections of whatever reads it: a thread, a task, or either."""
    if not hasattr(source, "__iter__"):
        return _AsyncSource(source)
    return _DualSource(source) if hasattr(source, "__aiter__") else _SyncSource(source)


def give_back(stream: StreamResponse) -> None:
    """Close the connections that this thread had for the view, or return them to their pool.

    ``stream`` has others, and lasts. Kept are those that are in a transaction, or that the stream
    itself reads by: with a cursor that the view began, or as an inline source. So are those that a
    site keeps from one request to the next, where the stream takes no others: that of a file, or of
    bytes.
    """
    if stream.is_inline:
        return
    for connection in connections.all(initialized_only=True):
        is_kept = stream.never_waits and connection.settings_dict["CONN_MAX_AGE"] != 0
        is_in_transaction = connection.in_atomic_block or not connection.autocommit
        if is_kept or is_in_transaction or connection in _in_use:
            continue
        try:
            connection.close()
        except Exception:
            # The response is none the worse for it.
            logger.exception("the connection %r of a view could not be closed", connection.alias)


def give_back_elsewhere(stream: StreamResponse) -> None:
    """``give_back``, for the thread that the sync parts of this request have under ASGI.

    Nothing waits for it: that thread may be busy with what the view has begun, and need not end
    before the stream does.
    """
    if stream.is_inline:
        return
    thread = SyncToAsync.thread_sensitive_context.get(None)
    executor = getattr(AsyncToSync.executors, "current", None) or (
        thread and SyncToAsync.context_to_thread_executor.get(thread)
    )
    if executor:
        # One that is over takes no more, and its thread closes them by itself.
        with suppress(RuntimeError):
            executor.submit(give_back, stream)


def _connection_in(source: Any) -> BaseDatabaseWrapper | None:
    """The connection of a cursor that ``source`` is, or reads: one that the view has begun."""
    # What reads a cursor some rows at a time has it.
    candidates = [source, getattr(source, "source", None)]
    if inspect.isgenerator(source) and source.gi_frame is not None:
        # Among its variables are what it is called with, and what a generator expression is over:
        # of a cursor of Django's that is a generator itself.
        for value in source.gi_frame.f_locals.values():
            candidates.append(value)
            if inspect.isgenerator(value) and value.gi_frame is not None:
                candidates.extend(value.gi_frame.f_locals.values())
    for each in candidates:
        if isinstance(each, CursorWrapper):
            return cast("BaseDatabaseWrapper", each.db)
    # A driver's own cursor has its connection (PEP 249, optional extensions).
    for connection in connections.all(initialized_only=True):
        driver = connection.connection
        if driver is not None and any(_is_cursor_of(driver, each) for each in candidates):
            return connection
    return None


def _is_cursor_of(driver: Any, value: Any) -> bool:
    return hasattr(value, "fetchmany") and getattr(value, "connection", None) is driver


class _WrappedSource:
    """A source, and its iterator once it was asked for."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._iterator: Any = None
        self._view_connection = _connection_in(source)
        if self._view_connection is not None:
            _in_use.add(self._view_connection)


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
            if self._view_connection is not None:
                _in_use.discard(self._view_connection)
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
