"""The service: one entry point for each kind of stream."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from os import PathLike
from typing import IO, Any, Final, Generic, TypeVar

from werkzeug.datastructures import Headers
from werkzeug.http import http_date, quote_etag

from streamkit import kind
from streamkit.arguments import (
    check_callable,
    check_columns,
    check_content_type,
    check_etag,
    check_last_modified,
    check_name,
    check_size,
)
from streamkit.channels import Channel, Merged
from streamkit.encoders import OctetsEncoder, PublishedEncoder, SSEEncoder
from streamkit.encoders.formats import ExportFormat, format_of
from streamkit.errors import SizeMismatch
from streamkit.event import ServerSentEvent
from streamkit.http.coded import Coded
from streamkit.http.disposition import content_disposition, guess_content_type, with_extension
from streamkit.http.events import Events
from streamkit.http.negotiation import Negotiator
from streamkit.http.parts import Parts
from streamkit.metrics import stream_metrics
from streamkit.open_file import file_source
from streamkit.plan import Plan
from streamkit.request import context
from streamkit.resource import Open, resource_of
from streamkit.response import StreamResponse
from streamkit.resumable import Answer
from streamkit.rows.tables import Table, check_rows, is_in_batches, read_table
from streamkit.source import Inline, Lossless, check_source
from streamkit.stream.record import Record
from streamkit.tracing import stream_span

__all__ = ["BaseStreamingService", "ExportFormat", "StreamingService"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", covariant=True)

Source = Iterable[T] | AsyncIterable[T] | Inline[T]
File = str | PathLike[str] | IO[bytes] | bytes | bytearray | memoryview

UNSNIFFED: Final = {"X-Content-Type-Options": "nosniff"}
"""Keeps browsers from taking what is downloaded for a page (WHATWG Fetch, section 3.6)."""

UNCOLLECTED: Final = {"X-Accel-Buffering": "no"}
"""Has nginx and its like send on what they get at once (ngx_http_proxy_module)."""

PRIVATE: Final = "private, no-cache"
"""What is downloaded may be one user's alone. Without a word on it, caches make up how long it is
fresh (RFC 9111, section 4.2.2)."""

NOT_STORED: Final = "no-store"
"""Where nothing tells this version from others, no cache could ever use it again."""

ONE_SECOND: Final = timedelta(seconds=1)

# A file is asked for more often than it changes.
_http_date: Final = lru_cache(http_date)


def _public(function: F) -> F:
    """Of the class that people know: that of every adapter has this name, and its base has not.

    Errors about arguments, and ``help``, have the name that stands here.
    """
    function.__qualname__ = f"StreamingService.{function.__name__}"
    return function


class BaseStreamingService(ABC, Generic[R]):
    """The three entry points, returning what ``respond`` makes of a ``StreamResponse``.

    Wrong arguments raise TypeError or ValueError at the call, before a source is touched.
    """

    @classmethod
    @abstractmethod
    def respond(cls, response: StreamResponse) -> R:
        """Turn the neutral response into a native one."""

    @classmethod
    def read(cls, source: Source[T]) -> Source[T]:
        """The source as this framework reads it."""
        return source

    @classmethod
    def read_rows(
        cls,
        rows: Source[T] | Table,
        serialize: Callable[[T], str] | None,
        chosen: Sequence[str] | None = None,
    ) -> tuple[Source[Any], Sequence[str] | None]:
        """The rows of a source, and their columns if it knows them.

        ``chosen`` are the names of the columns that will be exported, if they are not all: others
        need not be read.
        """
        if serialize is None:
            check_rows(rows)
        source, columns = read_table(rows, in_rows=serialize is not None)
        check_source("rows", source)
        return source, columns

    @classmethod
    @_public
    def sse(
        cls,
        name: str,
        events: Source[T] | Lossless[T] | Channel | Merged | Answer,
        serialize: Callable[[T], ServerSentEvent | Mapping[str, Any] | str] | None = None,
    ) -> R:
        """A live stream of server-sent events (WHATWG HTML, section 9.2).

        ``serialize`` turns an element into a ``ServerSentEvent``, a mapping of its fields, or a
        ``str`` of data. Without it an event is sent as it is, a ``str`` as data, anything else as
        JSON. A client too slow for 64 waiting elements loses the oldest, and is told how many in a
        comment ``: dropped N``. A comment ``: heartbeat`` is sent every 30 seconds, and at first
        when the source has been silent for a tenth of a second, to carry the head.

        ``events`` may be a ``Channel``, or several that are merged, which takes no ``serialize``:
        a client gets what is published from then on, or after its ``Last-Event-ID``, and is told by
        an event ``gap`` what it misses. Under ``lossless`` no event is dropped. It may be what
        ``start`` and ``follow`` of a ``Resumable`` return, which takes no ``serialize`` either.

        An event that cannot be sent (a line break in ``event`` or ``id``, a bad ``retry``) is
        logged, counted and replaced by a comment ``: refused``; the stream goes on.
        """
        check_name("name", name)
        check_callable("serialize", serialize)
        headers = {
            "Content-Type": "text/event-stream",
            # What a middlebox compresses it also collects, and holds events back for that
            # (RFC 9111, section 5.2.2.6).
            "Cache-Control": "no-cache, no-transform",
            **UNCOLLECTED,
        }
        is_lossless = isinstance(events, Lossless)
        source = events.events if isinstance(events, Lossless) else events
        if isinstance(source, Channel | Merged):
            if serialize is not None:
                raise TypeError(
                    "serialize must be None for a channel, whose events are encoded when they are "
                    "published: pass a generator of its events to send others in their place"
                )
            published = source.subscribed(is_lossless=is_lossless)
            plan = Plan(kind.SSE, published, PublishedEncoder(blank_after_comments=True))
            return cls._respond(plan, name, headers, Events(PublishedEncoder))
        if isinstance(source, Answer):
            if serialize is not None:
                raise TypeError(
                    "serialize must be None for a resumable answer, whose events are encoded once "
                    "for all who follow it: have its source yield what is to be sent"
                )
            answer = source.read_by(cls.read)
            plan = Plan(kind.LOSSLESS, answer, PublishedEncoder(blank_after_comments=True))
            return cls._respond(plan, name, headers, Events(PublishedEncoder))
        check_source("events", source)
        row = kind.LOSSLESS if is_lossless else kind.SSE
        plan = Plan(row, cls.read(source), SSEEncoder(serialize, blank_after_comments=True))
        return cls._respond(plan, name, headers, Events(partial(SSEEncoder, serialize)))

    @classmethod
    @_public
    def download(
        cls,
        source: Source[bytes | bytearray | memoryview] | File | Open,
        *,
        filename: str,
        content_type: str | None = None,
        size: int | None = None,
        etag: str | None = None,
        last_modified: datetime | None = None,
        inline: bool = False,
        name: str = "download",
    ) -> R:
        """A file to save, or with ``inline`` to show, from anything that has bytes.

        ``source`` is a path, an open binary file, bytes, an iterable of bytes-like pieces, or a
        function ``source(start, stop)`` that returns an iterable of the bytes from one offset up to
        another. The iterables may be async, and the function an async generator function.

        ``filename`` is what it is saved as (RFC 6266); ``content_type`` is guessed from it when
        absent. ``size``, in bytes, becomes ``Content-Length``: a source that yields more or less
        breaks the response off with ``SizeMismatch``. It is known of a path, a file and bytes, and
        must be given with a function. ``etag`` and ``last_modified`` tell this version from others;
        a path, a file and bytes have their own. ``name`` labels the metrics and the log.

        Conditional requests are answered, and requests for ranges as well if the source can be read
        from any byte on (RFC 9110, sections 13 and 14).

        Raises OSError for a path where there is no file that can be read.
        """
        check_name("name", name)
        _refuse_channel("source", source)
        check_size(size)
        content_type = check_content_type(content_type)
        disposition = content_disposition(filename, inline=inline, content_type=content_type)
        headers = {
            "Content-Disposition": disposition,
            "Content-Type": content_type or guess_content_type(filename),
            **UNSNIFFED,
        }
        etag, last_modified = check_etag(etag), check_last_modified(last_modified)
        resource = resource_of(source, size)
        negotiator = Parts(resource, cls.read)
        pieces: Any
        if resource is None:
            pieces = file_source(source)
            check_source("source", pieces)
            pieces = cls.read(pieces)
        else:
            if size not in (None, resource.size):
                resource.close()
                raise SizeMismatch(f"size must be that of source, {resource.size}, got {size}")
            size = resource.size
            if etag is None and (own := resource.etag) is not None:
                etag = quote_etag(own)
            last_modified = last_modified or resource.last_modified
            pieces = negotiator.source(resource, [range(size)])
            headers["Accept-Ranges"] = "bytes"
        if size is not None:
            headers["Content-Length"] = str(size)
        if etag is not None:
            headers["ETag"] = etag
        if last_modified is not None:
            now = datetime.now(UTC)
            # While the second goes on that it names, another version may come to be of the same
            # date (section 8.8.2.2). It is not in the future (section 8.8.2.1).
            if not now - ONE_SECOND < last_modified <= now:
                headers["Last-Modified"] = _http_date(min(last_modified, now).astimezone(UTC))
        headers["Cache-Control"] = NOT_STORED if etag is None and last_modified is None else PRIVATE
        plan = Plan(kind.DOWNLOAD, pieces, OctetsEncoder(size))
        return cls._respond(plan, name, headers, negotiator)

    @classmethod
    @_public
    def export(
        cls,
        name: str,
        rows: Source[T] | Table,
        format: ExportFormat,
        serialize: Callable[[T], str] | None = None,
        *,
        columns: Sequence[str] | Mapping[str, str] | None = None,
        filename: str | None = None,
    ) -> R:
        """Rows as a table to save: JSON, CSV (RFC 4180), newline-delimited JSON or a workbook.

        Rows are mappings, sequences, dataclasses, named tuples and other records. Their columns
        are those that the source knows (a cursor, a query result, a frame, an Arrow table), else
        the first row's. ``serialize`` gives the text of a row instead: a line, in csv and ndjson.

        ``columns`` are the names of those that are exported, in this order, or a mapping from their
        names to their titles; rows that have no names are given these. ``filename`` is what it is
        saved as (RFC 6266), ``name`` when absent, with the extension of the format if it has not
        got it. ``name`` labels the metrics and the log.

        Text is compressed as the client likes it best, with gzip, and with zstd and br where they
        are installed; a workbook is compressed by itself.
        """
        check_name("name", name)
        _refuse_channel("rows", rows)
        check_callable("serialize", serialize)
        chosen = check_columns(columns)
        if chosen is not None and serialize is not None:
            raise ValueError(
                "columns and serialize cannot go together: serialize gives the text of a whole row"
            )
        found = format_of(format, serialize)
        headers = {
            "Content-Type": found.content_type,
            "Content-Disposition": content_disposition(
                with_extension(name if filename is None else filename, found.extension)
            ),
            "Cache-Control": NOT_STORED,
            **UNSNIFFED,
            **(UNCOLLECTED if found.is_read_live else {}),
        }
        batches = found.read(rows) if serialize is None else None
        read, names = batches or cls.read_rows(rows, serialize, [*chosen] if chosen else None)
        export = kind.EXPORT_OF_BATCHES if is_in_batches(read) else kind.EXPORT
        plan = Plan(export, cls.read(read), found.encode(serialize, names, chosen))
        return cls._respond(plan, name, headers, Coded() if found.is_text else Negotiator())

    @classmethod
    def _respond(cls, plan: Plan, name: str, headers: dict[str, str], negotiator: Negotiator) -> R:
        tenant = context.get().tenant
        metrics = stream_metrics(plan.kind.name, name, tenant)
        span = stream_span(plan.kind.name, name, tenant)
        record = Record(plan.kind, name, tenant, metrics, span)
        response = StreamResponse(plan, Headers(headers), negotiator, record)
        try:
            return cls.respond(response)
        except BaseException:
            response.close()
            raise


class StreamingService(BaseStreamingService[StreamResponse]):
    """The neutral service, for adapters and for tests: it returns a ``StreamResponse``."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamResponse:
        return response


def _refuse_channel(argument: str, value: object) -> None:
    if isinstance(value, Answer):
        raise TypeError(f"{argument} must not be a resumable answer: stream it by sse")
    if isinstance(value, Channel | Merged):
        raise TypeError(f"{argument} must not be a channel, which has no end: stream it by sse")
