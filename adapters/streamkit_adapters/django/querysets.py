"""Querysets: read some rows at a time, and exported under the names of their columns."""

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.core.exceptions import FieldError
from django.db.models import QuerySet
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    RawQuerySet,
    ValuesIterable,
    ValuesListIterable,
)

from streamkit.adapting import Header
from streamkit_adapters.django.fields import examples_of

__all__ = ["rows_of", "table_of"]

CHUNK_ROWS: Final = 2000
"""Rows that are fetched of a queryset at a time: the default of ``QuerySet.iterator()``."""


def rows_of(source: Any) -> Any:
    """A queryset's rows, some at a time and never whole; any other source as it is."""
    if isinstance(source, QuerySet):
        return _Rows(source)
    return source.iterator() if isinstance(source, RawQuerySet) else source


class _Rows:
    """A queryset, read some rows at a time and not whole."""

    def __init__(self, queryset: Any) -> None:
        self._queryset = queryset

    def __iter__(self) -> Iterator[Any]:
        rows: Iterator[Any] = self._queryset.iterator(CHUNK_ROWS)
        return rows

    async def __aiter__(self) -> AsyncIterator[Any]:
        # Django's own aiterator makes the query of a values_list on the loop itself, and leaves a
        # cursor that was not read to its end to the garbage collector.
        rows = self._queryset.iterator(CHUNK_ROWS)
        try:
            while chunk := await sync_to_async(_next_chunk)(rows):
                for row in chunk:
                    yield row
        finally:
            await sync_to_async(rows.close)()


def _next_chunk(rows: Iterator[Any]) -> list[Any]:
    return [*islice(rows, CHUNK_ROWS)]


def table_of(queryset: Any, chosen: Sequence[str] | None = None) -> tuple[Any, Header | None]:
    """The queryset with rows of one value a column, and the columns; None for unknown rows.

    The columns have the types of their fields. Of ``chosen`` ones it fetches these alone, which
    may be those of related models.
    """
    rows_class = queryset._iterable_class
    if issubclass(rows_class, ModelIterable) and chosen is not None:
        try:
            table = queryset.values_list(*chosen)
        except FieldError as error:
            raise ValueError(f"columns must be fields of the queryset: {error}") from error
        table._iterable_class = ValuesListIterable
        return table, _header(table, chosen)
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
    return table, _header(table, columns)


def _header(table: Any, columns: Sequence[str]) -> Header:
    return Header(columns, partial(examples_of, table, columns))


def _fields(queryset: Any) -> Iterator[str]:
    """The fields that are not deferred, and what was added to them."""
    named, deferred = queryset.query.deferred_loading
    for field in queryset.model._meta.concrete_fields:
        if field.primary_key or not named.isdisjoint((field.name, field.attname)) is not deferred:
            yield field.attname
    yield from queryset.query.extra_select
    yield from queryset.query.annotation_select
