"""Django: a response is a ``django.http.StreamingHttpResponse``, under WSGI and ASGI alike."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Final, TypeVar, cast

from asgiref.sync import (
    ThreadSensitiveContext,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.conf import settings
from django.db import connections
from django.db.models import QuerySet
from django.db.models.query import FlatValuesListIterable, ModelIterable
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from werkzeug.datastructures import EnvironHeaders

from streamkit import BaseStreamingService, StreamResponse, request_context
from streamkit.service import Source
from streamkit.source import Inline, aclose

__all__ = ["StreamingResponse", "StreamingService", "StreamkitMiddleware"]

T = TypeVar("T")

CHUNK_ROWS: Final = 2000
"""Rows that a queryset's cursor fetches at a time, as is Django's own default."""

_NOT_IN_TEST_CASE: Final = (
    "a sync source cannot be streamed by an AsyncClient in a TestCase, whose data only the "
    "connection of the test sees: let the view stream a queryset or another async source, or make "
    "it a TransactionTestCase"
)


class StreamingResponse(StreamingHttpResponse):
    """A response whose body is a stream, from a sync or an async source, under WSGI and ASGI.

    Middleware may put another iterator around ``streaming_content``, sync or async: it is streamed
    as well, and never collected.
    """

    def __init__(self, response: StreamResponse) -> None:
        self.stream = response
        super().__init__(
            cast("Any", response), status=response.status, headers=dict(response.headers)
        )

    @property
    def streaming_content(self) -> Any:
        return self._content

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self._content = value
        if hasattr(value, "close"):
            self._resource_closers.append(value.close)

    @property
    def is_async(self) -> bool:
        """Whether middleware is to read ``streaming_content`` with ``async for``."""
        if self._content is self.stream:
            return self.stream.is_async
        return not hasattr(self._content, "__iter__")

    def __iter__(self) -> Iterator[bytes]:
        if hasattr(self._content, "__iter__"):
            return iter(self._content)
        return iter(self.stream.around(self._content))

    def __aiter__(self) -> AsyncIterator[bytes]:
        # What is inline is refused by its own iterator, whatever is around it.
        if hasattr(self._content, "__aiter__") or self.stream.is_inline:
            return aiter(self._content)
        return aiter(self.stream.around(self._content))

    def getvalue(self) -> bytes:
        return b"".join(self)

    def prefetch(self) -> None:
        """Take the first chunk now: an error of the source before it is raised here."""
        chunks = iter(self.stream)
        chunks.prefetch()
        self.streaming_content = chunks

    async def aprefetch(self) -> None:
        """``prefetch`` under ASGI."""
        chunks = aiter(self.stream)
        await chunks.prefetch()
        self.streaming_content = chunks

    def has_header(self, header: str) -> bool:
        # GZipMiddleware asks for this one, and would keep events back until it has a block full.
        if self.stream.live and header.lower() == "content-encoding":
            return True
        return super().has_header(header)

    __contains__ = has_header


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning Django responses.

    Querysets are read with ``iterator`` or ``aiterator``, never whole, and exported with the names
    of their columns as the header. Database connections that a source opens on a thread of its own
    are closed with it. In a ``TestCase``, whose data no other connection can see, a sync source
    stays on the thread of the test.
    """

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response)

    @classmethod
    def read(cls, source: Source[T]) -> Source[T]:
        if isinstance(source, Inline):
            return source
        iterable: Any = _Rows(source) if isinstance(source, QuerySet) else source
        if not hasattr(iterable, "__iter__"):
            return _AsyncSource(iterable)
        if _in_test_case():
            return Inline(iterable, _NOT_IN_TEST_CASE)
        return _DualSource(iterable) if hasattr(iterable, "__aiter__") else _SyncSource(iterable)

    @classmethod
    def read_rows(
        cls, rows: Source[T], serialize: Callable[[T], str] | None
    ) -> tuple[Source[Any], Sequence[str] | None]:
        if not isinstance(rows, QuerySet) or serialize is not None:
            return cls.read(rows), None
        queryset = _records(rows)
        query = queryset.query
        columns = query.selected or (
            *query.extra_select,
            *query.values_select,
            *query.annotation_select,
        )
        return cls.read(queryset), tuple(columns)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request, and sees to what only the request tells.

    A download or export whose source fails before its first element is answered like an error in
    the view, and HEAD without starting the source. The tenant is what the callable at the dotted
    path in ``STREAMKIT = {"TENANT": "shop.tenants.of_request"}`` returns for the request, or
    ``"system"``. Sync and async.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        path: str | None = getattr(settings, "STREAMKIT", {}).get("TENANT")
        self._tenant = (lambda _: None) if path is None else import_string(path)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self._get_response):
            return self._answer(request)
        with self._context(request):
            response: HttpResponseBase = self._get_response(request)
        if isinstance(response, StreamingResponse) and _is_wanted(request, response):
            response.prefetch()
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with self._context(request):
            response: HttpResponseBase = await self._get_response(request)
        if isinstance(response, StreamingResponse) and _is_wanted(request, response):
            await response.aprefetch()
        return response

    def _context(self, request: HttpRequest) -> AbstractContextManager[None]:
        headers = EnvironHeaders(request.META)
        return request_context(request.method or "", headers, self._tenant(request))


def _is_wanted(request: HttpRequest, response: StreamingResponse) -> bool:
    """Whether the first chunk may be taken before the head goes out."""
    if request.method == "HEAD":
        response.stream.close()
        response.streaming_content = ()
        return False
    return not response.stream.live


class _Rows:
    """A queryset, read row by row and not whole."""

    def __init__(self, queryset: "QuerySet[Any, Any]") -> None:
        self._queryset = queryset

    def __iter__(self) -> Iterator[Any]:
        return self._queryset.iterator(CHUNK_ROWS)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._queryset.aiterator(CHUNK_ROWS)


def _records(queryset: "QuerySet[Any, Any]") -> "QuerySet[Any, Any]":
    """The queryset with rows that have one value a column: not model instances, nor bare values."""
    if issubclass(queryset._iterable_class, FlatValuesListIterable):
        return queryset.values_list(
            *queryset.query.values_select, *queryset.query.annotation_select
        )
    if not issubclass(queryset._iterable_class, ModelIterable):
        return queryset
    named, deferred = queryset.query.deferred_loading
    fields = [
        field.attname
        for field in queryset.model._meta.concrete_fields
        if field.primary_key or (field.name in named or field.attname in named) is not deferred
    ]
    added = (*queryset.query.extra_select, *queryset.query.annotation_select)
    return queryset.prefetch_related(None).values_list(*fields, *added)


class _SyncSource:
    """A source, and the database connections of the thread that reads it, if that is a pump's."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._iterator: Any = None
        self._made_on = threading.get_ident()
        self._read_on: int | None = None

    def __iter__(self) -> Iterator[Any]:
        self._read_on = threading.get_ident()
        self._iterator = iter(self._source)
        return cast("Iterator[Any]", self._iterator)

    def close(self) -> None:
        try:
            # Its iterator is closed by whoever asked for it.
            if self._iterator is not self._source and hasattr(self._source, "close"):
                self._source.close()
        finally:
            if self._read_on == threading.get_ident() != self._made_on:
                connections.close_all()


class _AsyncSource:
    """A source, and the database connections of the thread that Django's async calls run on.

    Under ASGI that is the request's, which Django looks after. Under WSGI there is none, and the
    source gets one.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._async_iterator: Any = None
        self._thread = ThreadSensitiveContext()

    def __aiter__(self) -> AsyncIterator[Any]:
        # It does not await anything, and sets a variable of the task's own context.
        with suppress(StopIteration):
            self._thread.__aenter__().send(None)
        self._async_iterator = aiter(self._source)
        return cast("AsyncIterator[Any]", self._async_iterator)

    async def aclose(self) -> None:
        try:
            if self._async_iterator is not self._source:
                await aclose(self._source)
        finally:
            if self._thread.token:
                await sync_to_async(connections.close_all)()
                await self._thread.__aexit__(None, None, None)


class _DualSource(_SyncSource, _AsyncSource):
    """A source that is read either way."""

    def __init__(self, source: Any) -> None:
        _SyncSource.__init__(self, source)
        _AsyncSource.__init__(self, source)


def _in_test_case() -> bool:
    """Whether an open transaction is a ``TestCase``'s, as Django itself tells it from others."""
    return any(
        getattr(block, "_from_testcase", False)
        for connection in connections.all(initialized_only=True)
        for block in connection.atomic_blocks
    )
