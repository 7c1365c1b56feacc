"""The examples: they run, and the README shows them as they are."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from asgi_client import get
from werkzeug.test import Client

from streamkit import kind

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SHOWN = re.findall(r"<!-- (\S+) -->\n```python\n(.*?)```", README, re.S)


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


def test_the_readme_says_what_each_kind_of_stream_does_with_a_slow_client_and_a_silent_source() -> (
    None
):
    rows = re.findall(r"^\| `StreamingService\.(\w+)\(.*\| (.*) \| (.*) \|$", README, re.M)
    mib = kind.MAX_BUFFERED_BYTES // 1024 // 1024
    does = {
        "sliding": "loses the oldest past {} waiting events",
        "suspend": "makes the source wait: {}",
    }
    for each, (name, slow_client, heartbeat) in zip(
        (kind.SSE, kind.DOWNLOAD, kind.EXPORT), rows, strict=True
    ):
        assert name == each.name
        assert slow_client.startswith(does[each.strategy].format(each.capacity))
        assert heartbeat == ("none" if each.heartbeat is None else f"every {each.heartbeat:.0f} s")
        assert (f"{mib} MiB at most" in slow_client) == (name == "download")


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
