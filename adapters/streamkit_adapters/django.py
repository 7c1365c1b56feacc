"""Django: a response is a ``django.http.StreamingHttpResponse``, under WSGI and ASGI alike."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from itertools import islice
from typing import Any, Final, Literal, Self, TypeVar, cast

from asgiref.sync import (
    AsyncToSync,
    SyncToAsync,
    ThreadSensitiveContext,
    _restore_context,
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)

try:
    from django import VERSION
except ImportError as error:
    raise ImportError(f"{__name__} needs Django: pip install 'streamkit-http[django]'") from error

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.db.models import QuerySet
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    RawQuerySet,
    ValuesIterable,
    ValuesListIterable,
)
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from werkzeug.datastructures import EnvironHeaders

from streamkit import (
    BaseStreamingService,
    NothingMore,
    StreamResponse,
    request_context,
    shutdown_on_signals,
)
from streamkit.admission import Admission
from streamkit.rows.tables import Table
from streamkit.rows.values import plain
from streamkit.service import Source
from streamkit.source import Inline, aclose
from streamkit.stream.chunks import AsyncChunks, Chunks
from streamkit.stream.server_file import ServerFile
from streamkit.stream.wake import running_loop
from streamkit_adapters import wsgi

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware"]

T = TypeVar("T")

CHUNK_ROWS: Final = 2000
"""Rows that are fetched of a queryset at a time, as is Django's own default."""

# A lazy translation.
plain.register(Promise, str)

_through_asgi: ContextVar[bool | None] = ContextVar("through_asgi", default=None)
"""How the request came, if the middleware has told."""

_tested_on: ContextVar[Literal["thread", "loop"] | None] = ContextVar("tested_on", default=None)
"""Where a ``TestCase`` reads the stream, if one does."""


class StreamingResponse(StreamingHttpResponse):
    """A response whose body is a stream, from a sync or an async source, under WSGI and ASGI.

    Middleware may put another iterator around ``streaming_content``, sync or async: it is streamed
    as well, and never collected.
    """

    _resource_closers: list[Callable[[], object]]
    """Django's own."""
    block_size = wsgi.BLOCK_BYTES
    _content: Any

    def __init__(self, response: StreamResponse) -> None:
        self.stream = response
        self._body = _Body(response)
        self._through_asgi = _through_asgi.get()
        self._has_file_wrapper = False
        self._server_file: ServerFile | None = None
        super().__init__(
            cast("Any", self._body), status=response.status, headers=dict(response.headers.items())
        )

    @property
    def streaming_content(self) -> Any:
        return self._content

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self._content = value
        if value is not self._body:
            # They would be of what was there before.
            del self["Accept-Ranges"]
        if hasattr(value, "close"):
            self._resource_closers.append(value.close)

    @property
    def is_async(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether middleware is to read ``streaming_content`` with ``async for``."""
        if self._content is not self._body:
            return not hasattr(self._content, "__iter__")
        return running_loop() is not None if self._through_asgi is None else self._through_asgi

    def __iter__(self) -> Iterator[bytes]:
        if hasattr(self._content, "__iter__"):
            return iter(self._content)
        if running_loop() is not None:
            raise RuntimeError("on an event loop a streaming response is read with 'async for'")
        return iter(self.stream.around(self._content))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._content
        if not hasattr(content, "__aiter__"):
            content = self.stream.around(content)
        chunks = aiter(content)
        try:
            async for chunk in chunks:
                yield chunk
        except BaseException:
            await self._body.aclose()
            if chunks is not self._body:
                await aclose(chunks)
            # Django's ASGI handler does not close a response that fails or cannot be sent.
            await sync_to_async(self.close)()
            raise

    def getvalue(self) -> bytes:
        return b"".join(self)

    def prepare(self, request: HttpRequest) -> None:
        """Fit it to the request, and take the first chunk, so that a source may fail here."""
        self._negotiate(request)
        self._has_file_wrapper = "wsgi.file_wrapper" in request.META
        if self._is_untouched and not self.is_async and not self._has_server_file:
            try:
                self._body.open(request.META)
            except NothingMore:
                self._decline()
            except wsgi.ClientLeft as error:
                # No error of the site's, to be reported to its administrators.
                raise BadRequest(error.strerror) from error

    async def aprepare(self, request: HttpRequest) -> None:
        """``prepare`` under ASGI."""
        self._negotiate(request)
        if self._is_untouched and self.is_async:
            chunks = await self._body.aopen()
            try:
                await chunks.prefetch()
            except NothingMore:
                self._decline()
            except BaseException:
                await chunks.aclose()
                raise

    @property
    def _is_untouched(self) -> bool:
        """Whether no middleware has put anything around the stream, or in its place."""
        return self._content is self._body

    def _negotiate(self, request: HttpRequest) -> None:
        method = request.method or ""
        if self._is_untouched:
            self.status_code = self.stream.negotiate(
                method, EnvironHeaders(request.META), self.status_code, self.headers
            )
        else:
            self.status_code = self.stream.admit(method, self.status_code, self.headers)
        if self.stream.is_bodiless:
            self._content = ()

    def _decline(self) -> None:
        self.status_code = self.stream.decline(self.headers)
        self.streaming_content = ()

    @property
    def _has_server_file(self) -> bool:
        return self._has_file_wrapper and self._is_untouched and self.stream.file is not None

    @property
    def file_to_stream(self) -> ServerFile | None:
        """What Django's WSGI handler hands to a server that sends files by itself."""
        if self._server_file is None and self._has_server_file:
            self._server_file = self.stream.server_file()
        return self._server_file

    def has_header(self, header: str) -> bool:
        # GZipMiddleware asks for this one. It would keep events back until it has a block full, and
        # before Django 6 it makes a whole archive of each async chunk: clients read the first. And
        # a part is to be one of the bytes that its Content-Range counts.
        is_left_alone = (
            self.stream.live or self.status_code == 206 or (self.is_async and VERSION < (6,))
        )
        return (is_left_alone and header.lower() == "content-encoding") or super().has_header(
            header
        )

    def close(self) -> None:
        # Each time would send request_finished.
        if self.closed:
            return
        try:
            if self._server_file is not None:
                ServerFile.close(self._server_file)
        finally:
            super().close()


class _Body:
    """The chunks of a stream, opened for a thread or a loop by whichever asks first."""

    def __init__(self, stream: StreamResponse) -> None:
        self._stream = stream
        self._chunks: Any = None
        self.close = stream.close

    def open(self, environ: dict[str, Any] | None = None) -> Chunks:
        if self._chunks is None:
            stream = self._stream
            stream.encoder_context.run(_move_here)
            if _in_test_case():
                stream.context.run(_tested_on.set, "thread")
                if not stream.is_async:
                    stream.make_inline()
            self._chunks = iter(stream) if environ is None else wsgi.open_chunks(stream, environ)
        return cast("Chunks", self._chunks)

    async def aopen(self) -> AsyncChunks:
        if self._chunks is None:
            stream = self._stream
            stream.encoder_context.run(_move_here)
            if await sync_to_async(_in_test_case)():
                stream.context.run(_tested_on.set, "loop")
                # Where the thread of the test waits: not always where it waited for the view.
                executor = getattr(AsyncToSync.executors, "current", None)
                stream.context.run(setattr, AsyncToSync.executors, "current", executor)
            self._chunks = aiter(stream)
        return cast("AsyncChunks", self._chunks)

    async def aclose(self) -> None:
        await aclose(self._chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self.open()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(await self.aopen())


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning Django responses.

    Querysets are read a few thousand rows at a time, never whole, and exported with the names of
    their columns as the header. A stream has database connections of its own, closed with its
    source. In a ``TestCase``, whose data no other connection can see, it has the test's: there a
    source is read the way its client is, sync or async.
    """

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)

    @classmethod
    def read(cls, source: Source[T]) -> Source[T]:
        if isinstance(source, Inline):
            return source
        iterable: Any = source
        if isinstance(source, QuerySet):
            iterable = _Rows(source)
        elif isinstance(source, RawQuerySet):
            iterable = source.iterator()
        if not hasattr(iterable, "__iter__"):
            return _AsyncSource(iterable)
        return _DualSource(iterable) if hasattr(iterable, "__aiter__") else _SyncSource(iterable)

    @classmethod
    def read_rows(
        cls, rows: Source[T] | Table, serialize: Callable[[T], str] | None
    ) -> tuple[Source[Any], Sequence[str] | None]:
        if not isinstance(rows, QuerySet) or serialize is not None:
            return super().read_rows(rows, serialize)
        table, columns = _table(rows)
        return cls.read(table), columns


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request, and sees to what only the request tells.

    A stream whose source fails before its first element is answered by ``handler500`` and its like,
    and HEAD without starting the source. The tenant is what the function at the dotted path in
    ``STREAMKIT = {"TENANT": "shop.tenants.of_request"}`` returns for the request, or ``"system"``.
    Of the streams ``"MAX_STREAMS"`` may be open at a time in a process, any number without it: more
    are answered with 503. Sync and async.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        options: dict[str, Any] = getattr(settings, "STREAMKIT", {})
        path, max_streams = options.get("TENANT"), options.get("MAX_STREAMS")
        self._tenant = None if path is None else import_string(path)
        self._admission = None if max_streams is None else Admission(max_streams)
        shutdown_on_signals()
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self._get_response):
            return self._answer(request)
        tenant = self._tenant(request) if self._tenant else None
        with _context(request, tenant, self._admission):
            response: HttpResponseBase = self._get_response(request)
        if isinstance(response, StreamingResponse):
            if isinstance(request, ASGIRequest):
                async_to_sync(response.aprepare)(request)
            else:
                response.prepare(request)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        tenant = await sync_to_async(self._tenant)(request) if self._tenant else None
        with _context(request, tenant, self._admission):
            response: HttpResponseBase = await self._get_response(request)
        if isinstance(response, StreamingResponse):
            if isinstance(request, ASGIRequest):
                await response.aprepare(request)
            else:
                await sync_to_async(response.prepare)(request)
        return response


@contextmanager
def _context(request: HttpRequest, tenant: object, streams: Admission | None) -> Generator[None]:
    method, headers = request.method or "", EnvironHeaders(request.META)
    query = request.META.get("QUERY_STRING", "")
    token = _through_asgi.set(isinstance(request, ASGIRequest))
    try:
        with request_context(method, headers, tenant, query, streams):
            yield
    finally:
        _through_asgi.reset(token)


class _Rows:
    """A queryset, read some rows at a time and not whole."""

    def __init__(self, queryset: Any) -> None:
        self._queryset = queryset

    def __iter__(self) -> Iterator[Any]:
        rows: Iterator[Any] = self._queryset.iterator(CHUNK_ROWS)
        return rows

    async def __aiter__(self) -> AsyncIterator[Any]:
        # Django's own aiterator queries on the loop itself for values_list, and leaves the cursor
        # that it does not read to the end to the garbage collector.
        rows = self._queryset.iterator(CHUNK_ROWS)
        try:
            while chunk := await sync_to_async(_next_chunk)(rows):
                for row in chunk:
                    yield row
        finally:
            await sync_to_async(rows.close)()


def _next_chunk(rows: Iterator[Any]) -> list[Any]:
    return [*islice(rows, CHUNK_ROWS)]


def _table(queryset: Any) -> tuple[Any, Sequence[str] | None]:
    """The queryset with rows of one value a column, and the columns; None for unknown rows."""
    rows_class = queryset._iterable_class
    if issubclass(rows_class, ModelIterable):
        table = queryset.values_list(*_fields(queryset))
    elif issubclass(rows_class, ValuesIterable | ValuesListIterable | FlatValuesListIterable):
        table = queryset.all()
    else:
        return queryset, None
    table._iterable_class = ValuesListIterable
    query = table.query
    columns = query.selected or (
        *query.extra_select,
        *query.values_select,
        *query.annotation_select,
    )
    return table, tuple(columns)


def _fields(queryset: Any) -> Iterator[str]:
    """The fields that are not deferred, and what was added to them."""
    named, deferred = queryset.query.deferred_loading
    for field in queryset.model._meta.concrete_fields:
        if field.primary_key or not named.isdisjoint((field.name, field.attname)) is not deferred:
            yield field.attname
    yield from queryset.query.extra_select
    yield from queryset.query.annotation_select


class _WrappedSource:
    def __init__(self, source: Any) -> None:
        self._source = source
        self._iterator: Any = None


class _SyncSource(_WrappedSource):
    """A source, and the database connections of the thread that reads it."""

    def __iter__(self) -> Iterator[Any]:
        _move_here()
        if _tested_on.get() == "loop":
            _refuse_connections()
        self._iterator = iter(self._source)
        return cast("Iterator[Any]", self._iterator)

    def close(self) -> None:
        try:
            # Its iterator is closed by whoever asked for it.
            if self._iterator is not self._source and hasattr(self._source, "close"):
                self._source.close()
        finally:
            if self._iterator is not None and _tested_on.get() != "thread":
                connections.close_all()


class _AsyncSource(_WrappedSource):
    """A source, and the database connections of a thread for the sync parts of Django."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self._thread = ThreadSensitiveContext()

    def __aiter__(self) -> AsyncIterator[Any]:
        _move_here()
        if _tested_on.get() != "loop":
            # Not the thread of the request, which may be waiting for this source.
            AsyncToSync.executors.current = None
            SyncToAsync.thread_sensitive_context.set(self._thread)
        if _tested_on.get() == "thread":
            SyncToAsync.context_to_thread_executor[self._thread] = ThreadPoolExecutor(
                max_workers=1, initializer=_refuse_connections
            )
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


def _move_here() -> None:
    """Let this thread have the request's language, time zone, script prefix and the like.

    asgiref hides them from a thread that a context has come to by other ways than its own.
    """
    _restore_context(copy_context())


def _in_test_case() -> bool:
    """Whether an open transaction is a ``TestCase``'s, as Django itself tells it from others."""
    return any(
        getattr(block, "_from_testcase", False)
        for connection in connections.all(initialized_only=True)
        for block in connection.atomic_blocks
    )


def _refuse_connections() -> None:
    """Let this thread have none."""
    for alias in connections:
        connections[alias] = cast("Any", _NoConnection())


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
