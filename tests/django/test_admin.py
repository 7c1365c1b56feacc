"""The action for Django's admin that the page on exports shows."""

import re
from pathlib import Path
from typing import Any

import pytest
from django_site.clients import WSGIClient
from django_site.models import Order
from django_site.urls import site
from workbook import read_workbook

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exports.md"
[EXAMPLE] = re.findall(
    r"<!-- tests/django/test_admin.py -->\n```python\n(.*?)```", PAGE.read_text(), re.S
)


@pytest.mark.usefixtures("databases")
def test_what_is_selected_becomes_a_workbook(alias: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(EXAMPLE, "docs/exports.md", "exec"), names)
    action = names["export_to_excel"]
    assert names["OrderAdmin"].actions == [action]
    selected = Order.objects.using(alias).filter(status="open").order_by("id")
    with site(lambda request: action(None, request, selected)):
        client = WSGIClient()
        [sheet] = read_workbook(client.rest())
    assert sheet.rows[0] == ["ID", "customer", "status", "total", "placed", "details"]
    assert [row[:4] for row in sheet.rows[1:]] == [[1, 1, "open", 9.9], [3, 1, "open", 0.05]]
