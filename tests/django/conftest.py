"""The databases of the shop."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import connections
from django_site.models import Customer, Order, RushOrder
from postgresql import postgresql

ALIASES = ["default", "postgresql"]


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with postgresql() as host:
        path = tmp_path_factory.mktemp("django") / "shop.sqlite3"
        connections.settings["default"]["NAME"] = path
        connections.settings["postgresql"].update(NAME="postgres", USER="postgres", HOST=host)
        for alias in ALIASES:
            call_command("migrate", run_syncdb=True, database=alias, verbosity=0)
        yield
        connections.close_all()


@pytest.fixture(params=ALIASES)
def alias(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with two customers and three orders."""
    alias: str = request.param
    customers = [Customer(pk=1, name="Ada"), Customer(pk=2, name="Bob")]
    Customer.objects.using(alias).bulk_create(customers)
    Order.objects.using(alias).bulk_create(
        Order(
            pk=pk,
            customer_id=customer,
            status=status,
            total=total,
            placed=datetime(2026, 1, pk, 12, tzinfo=UTC),
            details={"gift": True} if pk == 1 else {},
        )
        for pk, customer, status, total in [
            (1, 1, "open", "9.90"),
            (2, 2, "paid", "120.00"),
            (3, 1, "open", "0.05"),
        ]
    )
    yield alias
    for model in (RushOrder, Order, Customer):
        model.objects.using(alias).all().delete()
