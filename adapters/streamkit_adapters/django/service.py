"""The service, and what it makes of Django's sources."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db.models import QuerySet

from streamkit.adapting import BaseStreamingService, Inline, Source, StreamResponse, Table
from streamkit_adapters.django.connections import connected
from streamkit_adapters.django.querysets import rows_of, table_of
from streamkit_adapters.django.response import StreamingResponse

__all__ = ["StreamingService"]

T = TypeVar("T")


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
        """The source with database connections of its own; an inline one keeps the view's."""
        if isinstance(source, Inline):
            return source
        wrapped: Source[T] = connected(rows_of(source))
        return wrapped

    @classmethod
    def read_rows(
        cls,
        rows: Source[T] | Table,
        serialize: Callable[[T], str] | None,
        chosen: Sequence[str] | None = None,
    ) -> tuple[Source[Any], Sequence[str] | None]:
        """The rows, and the columns of a queryset: ``serialize`` is passed its objects, though."""
        if not isinstance(rows, QuerySet) or serialize is not None:
            return super().read_rows(rows, serialize, chosen)
        return table_of(rows, chosen)
