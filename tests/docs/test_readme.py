"""The examples: they run, and the README shows them as they are."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from asgi_client import get
from werkzeug.test import Client

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(r"<!-- (\S+) -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


def load(name: str) -> Any:
    spec = spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("path", "shown"), SHOWN, ids=[path for path, _ in SHOWN])
def test_the_readme_shows_the_file(path: str, shown: str) -> None:
    assert shown == (ROOT / path).read_text()


def test_the_readme_shows_all_examples() -> None:
    assert {path for path, _ in SHOWN} == {
        f"examples/{path.name}" for path in (ROOT / "examples").glob("*.py")
    }


def test_the_example_for_flask_runs() -> None:
    response = load("flask_orders").app.test_client().get("/orders.csv?status=open")
    assert response.text == "id,status\r\n0,open\r\n1,open\r\n2,open\r\n"


def test_the_example_for_fastapi_runs() -> None:
    response = get(load("fastapi_orders").app, "/orders.csv", query=b"status=open")
    assert response.body == b"id,status\r\n0,open\r\n1,open\r\n2,open\r\n"


def test_the_example_for_wsgi_runs() -> None:
    response = Client(load("wsgi_orders").app).get("/")
    assert response.text.splitlines()[0] == '{"id":0,"status":"open"}'
    assert len(response.text.splitlines()) == 3


def test_the_example_for_asgi_runs() -> None:
    response = get(load("asgi_ticks").app, last_event_id="2")
    assert response.body == b"id: 3\ndata: tick\n\n"
