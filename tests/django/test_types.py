"""The types of columns that a queryset tells before its first row, held against its values."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.postgres.fields import ArrayField, IntegerRangeField
from django.db import models
from django.db.models import Avg, Count, F, Sum, Value
from django.db.models.functions import Cast, TruncDay
from django_site.models import Order, RushOrder

from streamkit_adapters.django.querysets import table_of

pytestmark = pytest.mark.usefixtures("databases")


def likeness(value: Any) -> Any:
    """What two values of one column have in common."""
    if isinstance(value, datetime):
        return datetime, value.tzinfo is not None
    return [*map(likeness, value)] if isinstance(value, list) else type(value)


QUERYSETS: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    # how rows are asked for, and the columns whose types are not told
    "models": (lambda orders: orders, ["details"]),
    "values": (lambda orders: orders.values(), ["details"]),
    "of related ones": (lambda orders: orders.values_list("customer__name", "customer"), []),
    "flat": (lambda orders: orders.values_list("total", flat=True), []),
    "annotated": (lambda orders: orders.annotate(who=F("customer__name")).only("status"), []),
    "aggregated": (
        lambda orders: orders.values("status").annotate(n=Count("id"), sum=Sum("total")),
        [],
    ),
    "averages": (lambda orders: orders.values("status").annotate(of=Avg("id")), []),
    "truncated": (lambda orders: orders.values_list(TruncDay("placed")), []),
    "within json": (lambda orders: orders.values_list("details__gift"), ["details__gift"]),
    "extra": (
        lambda orders: orders.extra(select={"next": "django_site_order.id + 1"}).values("next"),
        ["next"],
    ),
    "union": (lambda orders: orders.order_by().union(orders.order_by()), ["details"]),
    "no rows": (lambda orders: orders.filter(pk=9), ["details"]),
}


@pytest.mark.parametrize(("rows", "untold"), QUERYSETS.values(), ids=QUERYSETS)
def test_columns_have_the_types_of_their_fields(rows: Any, untold: list[str], alias: str) -> None:
    table, header = table_of(rows(Order.objects.using(alias)))
    assert header is not None
    examples = dict(zip(header, header.examples, strict=True))
    assert [name for name, example in examples.items() if example is None] == untold
    for row in table:
        for value, example in zip(row, examples.values(), strict=True):
            if example is not None:
                assert likeness(value) == likeness(example)


def test_the_chosen_columns_have_the_types_of_their_fields(alias: str) -> None:
    _, header = table_of(RushOrder.objects.using(alias), ["customer__name", "hours", "total"])
    assert header is not None
    assert header.examples == ["", 0, Decimal("0.00")]


FIELDS: list[tuple[Any, Any]] = [
    # a field, and a value of it
    (models.BigIntegerField(), 1),
    (models.BinaryField(), b"\xff"),
    (models.BooleanField(), True),
    (models.CharField(max_length=5), "a"),
    (models.DateField(), date(2024, 2, 29)),
    (models.DateTimeField(), datetime(2024, 2, 29, tzinfo=UTC)),
    (models.DecimalField(max_digits=9, decimal_places=3), Decimal("1.500")),
    (models.DurationField(), timedelta(days=1)),
    (models.EmailField(), "a@example.org"),
    (models.FloatField(), 0.5),
    (models.GenericIPAddressField(), "10.0.0.1"),
    (models.PositiveSmallIntegerField(), 1),
    (models.SlugField(), "a"),
    (models.TextField(), "a"),
    (models.TimeField(), time(1, 2, 3)),
    (models.URLField(), "https://example.org/"),
    (models.UUIDField(), UUID(int=5)),
]


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=lambda each: type(each).__name__)
def test_a_field_has_the_type_of_its_values(field: Any, value: Any, alias: str) -> None:
    query = Order.objects.using(alias).values_list(Cast(Value(value, field), field))
    table, header = table_of(query)
    assert header is not None
    assert likeness(table[0][0]) == likeness(value) == likeness(header.examples[0])


def test_fields_of_postgresql_have_the_type_of_their_values() -> None:
    numbers: Any = Value([1], ArrayField(models.IntegerField()))
    span: Any = Value(None, IntegerRangeField())
    _, header = table_of(Order.objects.using("postgresql").values_list(numbers, span))
    assert header is not None
    # Ranges are text in every format.
    assert header.examples == [[0], ""]
