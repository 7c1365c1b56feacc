"""The recipe for Django's admin."""

import pytest
from django.contrib.admin import AdminSite
from django_site.models import Order
from pages import run

pytestmark = pytest.mark.usefixtures("databases")


def test_an_action_of_the_admin_exports_what_is_chosen(alias: str) -> None:
    names = run("recipes.md", {"An export from the admin"})
    admin = names["OrderAdmin"](Order, AdminSite())
    assert names["export_as_csv"] in admin.actions
    chosen = Order.objects.using(alias).filter(pk__lt=3).order_by("pk")
    response = names["export_as_csv"](admin, None, chosen)
    assert b"".join(response) == b"id,status,total\r\n1,open,9.90\r\n2,paid,120.00\r\n"
    assert 'filename="order.csv"' in response["Content-Disposition"]
