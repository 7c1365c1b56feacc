"""The service: one entry point for each kind of stream."""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Generic, Literal, TypeVar, get_args

from werkzeug.datastructures import Headers

from streamkit import kind
from streamkit.context import context
from streamkit.disposition import content_disposition, guess_content_type
from streamkit.encoders import (
    CsvEncoder,
    Encoder,
    JsonEncoder,
    NdjsonEncoder,
    OctetsEncoder,
    SSEEncoder,
)
from streamkit.event import ServerSentEvent
from streamkit.metrics import stream_metrics
from streamkit.pipeline import Pipeline
from streamkit.record import Record
from streamkit.response import StreamResponse
from streamkit.source import Inline, check_source

__all__ = ["BaseStreamingService", "ExportFormat", "StreamingService"]

T = TypeVar("T")
R = TypeVar("R", covariant=True)

Source = Iterable[T] | AsyncIterable[T] | Inline[T]
ExportFormat = Literal["json", "csv", "ndjson"]

# RFC 9110, section 8.3.1, and as much of its parameters as keeps a header whole.
_MEDIA_TYPE = re.compile(r"[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+ *(;|$)", re.ASCII)

_EXPORTS: dict[str, tuple[str, type[JsonEncoder] | type[CsvEncoder] | type[NdjsonEncoder]]] = {
    "json": ("application/json", JsonEncoder),
    "csv": ("text/csv; charset=utf-8", CsvEncoder),
    "ndjson": ("application/x-ndjson", NdjsonEncoder),
}


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
        cls, rows: Source[T], serialize: Callable[[T], str] | None
    ) -> tuple[Source[Any], Sequence[str] | None]:
        """The rows as this framework reads them, and their columns if it knows them."""
        return cls.read(rows), None

    @classmethod
    def sse(
        cls,
        name: str,
        events: Source[T],
        serialize: Callable[[T], ServerSentEvent | Mapping[str, Any] | str] | None = None,
    ) -> R:
        """A live stream of server-sent events (WHATWG HTML, section 9.2).

        ``serialize`` turns an element into a ``ServerSentEvent``, a mapping of its fields, or a
        ``str`` of data. Without it an event is sent as it is, a ``str`` as data, anything else as
        JSON. A client too slow for 64 waiting elements loses the oldest, and is told how many in a
        comment ``: dropped N``. A comment ``: heartbeat`` is sent every 30 seconds, and at first
        when the source has been silent for a tenth of a second, to carry the head.

        An event that cannot be sent (a line break in ``event`` or ``id``, a bad ``retry``) is
        logged, counted and replaced by a comment ``: refused``; the stream goes on.
        """
        check_name("name", name)
        check_source("events", events)
        check_callable("serialize", serialize)
        headers = Headers(
            {
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
            }
        )
        source = cls.read(events)
        return cls._stream(kind.SSE, name, source, SSEEncoder(serialize), headers)

    @classmethod
    def download(
        cls,
        source: Source[bytes | bytearray | memoryview],
        *,
        filename: str,
        content_type: str | None = None,
        size: int | None = None,
        name: str = "download",
    ) -> R:
        """A file to save, from an iterator of bytes-like pieces.

        ``filename`` is what it is saved as (RFC 6266); ``content_type`` is guessed from it when
        absent. ``size``, in bytes, becomes ``Content-Length``: a source that yields more or less
        breaks the response off with ``SizeMismatch``. ``name`` labels the metrics and the log.
        """
        check_name("name", name)
        if isinstance(source, str | PathLike):
            raise TypeError(
                'source must be an iterable of bytes, got a path: pass open(path, "rb")'
            )
        check_source("source", source)
        check_size(size)
        headers = Headers({"Content-Disposition": content_disposition(filename)})
        headers["Content-Type"] = check_content_type(content_type) or guess_content_type(filename)
        if size is not None:
            headers["Content-Length"] = str(size)
        source = cls.read(source)
        return cls._stream(kind.DOWNLOAD, name, source, OctetsEncoder(size), headers)

    @classmethod
    def export(
        cls,
        name: str,
        rows: Source[T],
        format: ExportFormat,
        serialize: Callable[[T], str] | None = None,
    ) -> R:
        """Rows as a JSON array, CSV (RFC 4180) or newline-delimited JSON, saved as ``name.format``.

        Rows are mappings, sequences, dataclasses, named tuples and other records. ``serialize``
        gives the text of a row instead: a line, in csv and ndjson.
        """
        check_name("name", name)
        check_source("rows", rows)
        check_callable("serialize", serialize)
        if not isinstance(format, str) or format not in _EXPORTS:
            expected = ", ".join(map(repr, get_args(ExportFormat)))
            raise ValueError(f"format must be one of {expected}, got {format!r}")
        content_type, encoder = _EXPORTS[format]
        headers = Headers(
            {
                "Content-Type": content_type,
                "Content-Disposition": content_disposition(f"{name}.{format}"),
            }
        )
        source, columns = cls.read_rows(rows, serialize)
        return cls._stream(kind.EXPORT, name, source, encoder(serialize, columns), headers)

    @classmethod
    def _stream(
        cls, kind: kind.Kind, name: str, source: Source[Any], encoder: Encoder, headers: Headers
    ) -> R:
        tenant = context.get().tenant
        record = Record(kind, name, tenant, stream_metrics(kind.name, name, tenant))
        return cls.respond(StreamResponse(Pipeline(kind, source, encoder, record), headers))


class StreamingService(BaseStreamingService[StreamResponse]):
    """The neutral service, for adapters and for tests: it returns a ``StreamResponse``."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamResponse:
        return response


def check_name(argument: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, got {type(value).__name__}")
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{argument} must be printable and not blank, got {value!r}")


def check_callable(argument: str, value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(
            f"{argument} must be a function of one element, or None, got {type(value).__name__}"
        )
    if inspect.iscoroutinefunction(value):
        raise TypeError(
            f"{argument} must be a function of one element, not an async one: await in the source"
        )


def check_size(size: object) -> None:
    if size is None:
        return
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"size must be a number of bytes, an int, got {type(size).__name__}")
    if size < 0:
        raise ValueError(f"size must be a number of bytes, not negative, got {size}")


def check_content_type(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"content_type must be a str, got {type(value).__name__}")
    if not _MEDIA_TYPE.match(value) or not value.isprintable():
        raise ValueError(
            f"content_type must be a media type such as 'application/pdf', got {value!r}"
        )
    return value
