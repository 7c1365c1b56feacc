"""The examples of the page on exports that are for Flask; those for others stand beside theirs."""

import io
import re
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from workbook import read_workbook

from streamkit_adapters.flask import StreamingService

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "exports.md").read_text()


def example(beginning: str) -> Any:
    """The code of the one that begins so."""
    [found] = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.S) if beginning in code]
    return compile(found, "docs/exports.md", "exec")


def test_a_table_of_a_database_into_excel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("shop.db") as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id, 'Ada' AS customer, 9.5 AS total")
    connection.close()
    names: dict[str, Any] = {
        "app": Flask(__name__),
        "StreamingService": StreamingService,
    }
    exec(example("def orders_workbook"), names)
    response = names["app"].test_client().get("/orders.xlsx")
    assert response.headers["Content-Disposition"] == 'attachment; filename="Orders of May.xlsx"'
    [sheet] = read_workbook(response.data)
    assert sheet.rows == [["Order", "Customer", "Amount"], [1, "Ada", 9.5]]


def test_several_tables_as_one_download() -> None:
    names: dict[str, Any] = {
        "orders": lambda: iter([{"id": 1}]),
        "customers": lambda: iter([{"name": "Ada"}]),
    }
    exec(example("def everything"), names)
    app = Flask(__name__)
    app.add_url_rule("/", view_func=names["everything"])
    archive = zipfile.ZipFile(io.BytesIO(app.test_client().get("/").data))
    assert {name: archive.read(name) for name in archive.namelist()} == {
        "orders.csv": b"id\r\n1\r\n",
        "customers.csv": b"name\r\nAda\r\n",
    }
