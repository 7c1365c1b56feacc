"""The types that the fields of a queryset declare."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.models.constants import LOOKUP_SEP

__all__ = ["examples_of"]

_EXAMPLES: Final[dict[str, Any]] = {
    "AutoField": 0,
    "BigAutoField": 0,
    "BigIntegerField": 0,
    "BinaryField": b"",
    "BooleanField": False,
    "CharField": "",
    "DateField": date.min,
    "DurationField": timedelta(),
    "FileField": "",
    "FilePathField": "",
    "FloatField": 0.0,
    "GenericIPAddressField": "",
    "IPAddressField": "",
    "IntegerField": 0,
    "PositiveBigIntegerField": 0,
    "PositiveIntegerField": 0,
    "PositiveSmallIntegerField": 0,
    "SlugField": "",
    "SmallAutoField": 0,
    "SmallIntegerField": 0,
    "TextField": "",
    "TimeField": time.min,
    "UUIDField": UUID(int=0),
}
"""A value of each kind of field, by what it calls itself to a database."""

MOMENT: Final = datetime(1970, 1, 1)


def examples_of(queryset: Any, columns: Sequence[str]) -> list[Any]:
    """A value of each column as its field declares it, None where none does: see ``Header``."""
    return [_example(field) for field in _fields_of(queryset.query, columns)]


def _fields_of(query: Any, columns: Sequence[str]) -> Iterator[Any]:
    for column in columns:
        try:
            if column in query.annotations:
                yield query.annotations[column].output_field
            else:
                _, field, _, rest = query.names_to_path(column.split(LOOKUP_SEP), query.get_meta())
                yield None if rest else field
        except (FieldDoesNotExist, FieldError):
            # It was added by extra(), or is an expression whose type is told by nothing.
            yield None


def _example(field: Any) -> Any:
    if field is None:
        return None
    if field.is_relation:
        # The column has the key of a related row.
        return _example(getattr(field, "target_field", None))
    if hasattr(field, "base_field"):
        # An array of PostgreSQL's, or a range of its, whose values are text.
        return [_example(field.base_field)] if hasattr(field, "size") else ""
    kind = field.get_internal_type()
    if kind == "DateTimeField":
        return MOMENT.replace(tzinfo=UTC) if settings.USE_TZ else MOMENT
    if kind == "DecimalField":
        places = field.decimal_places
        return None if places is None else Decimal((0, (0,), -places))
    return _EXAMPLES.get(kind)
