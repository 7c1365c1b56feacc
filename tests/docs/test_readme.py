"""The examples: they run, and the README and the docs show them as they are."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from asgi_client import get
from pages import DOCS
from werkzeug.test import Client

from streamkit import kind
from streamkit.testing import Event, connect

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PROGRAM = re.compile(r"<!-- (examples/\S+) -->\n```(?:python|js)\n(.*?)```", re.S)
SHOWN = PROGRAM.findall(README)
PAGES = [shown for page in DOCS.glob("*.md") for shown in PROGRAM.findall(page.read_text())]
"""Those that the pages of docs/ show."""


def load(name: str) -> Any:
    spec = spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("path", "shown"), [*SHOWN, *PAGES], ids=[path for path, _ in [*SHOWN, *PAGES]]
)
def test_the_file_is_shown_as_it_is(path: str, shown: str) -> None:
    assert shown == (ROOT / path).read_text()


def test_all_examples_are_shown() -> None:
    assert {path for path, _ in [*SHOWN, *PAGES]} == {
        f"examples/{path.name}" for path in (ROOT / "examples").glob("*.*")
    }


def test_every_block_of_code_is_run_by_a_test() -> None:
    """Those that are files, here and beside the frameworks; what a page does, by the clients."""
    blocks = re.findall(r"^```(\w+)\n", README, re.M)
    # Commands: tests/published/test_readme.py. The page without a file: tests/clients/test_page.py.
    assert len(blocks) == len(SHOWN) + blocks.count("sh") + 1


def test_the_pictures_are_there_and_small() -> None:
    pictures = re.findall(r' src(?:set)?="([^"]+)"', README)
    assert len(pictures) == 2
    assert sum((ROOT / path).stat().st_size for path in pictures) < 300_000


def test_the_table_is_the_one_that_its_command_prints() -> None:
    """But for the figures, which are those of one run."""
    table = README.partition("<!-- python -m benchmarks.beside -->\n")[2].partition("\n\n")[0]
    head, _, *lines = (row.strip("| ").split(" | ") for row in table.splitlines())
    source = (ROOT / "benchmarks" / "beside.py").read_text()
    assert len(lines) == len(re.findall(r"^    Way\(", source, re.M))
    for name in [*head, *(line[0] for line in lines)]:
        pattern = re.sub(r"[\d,]*\d", "{[^}]*}", re.escape(name).replace(r"\ ", " "))
        assert re.search(f'f?"{pattern}"', source), name


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


@pytest.mark.parametrize("name", ["flask_events", "fastapi_events"])
def test_the_events_go_on_from_the_last_that_was_seen(name: str) -> None:
    app = load(name).app
    with connect(app, "/events") as client:
        assert client.headers["Content-Type"] == "text/event-stream"
        assert client.event() == Event('{"tick":1}', last_event_id="1")
    client.assert_source_closed()
    with connect(app, "/events", headers={"Last-Event-ID": "7"}) as client:
        assert client.event() == Event('{"tick":8}', last_event_id="8")
        assert client.event() == Event('{"tick":9}', last_event_id="9")
    client.assert_source_closed()


def test_the_example_of_a_channel_runs() -> None:
    app = load("flask_channel").app
    with connect(app, "/orders/events") as first, connect(app, "/orders/events") as second:
        for client in (first, second):
            assert client.event().type == "subscribed"
        assert app.test_client().post("/orders", data={"id": "7"}).status_code == 204
        for client in (first, second):
            assert client.event().data == '{"id":"7"}'


def test_the_download_of_the_example_for_flask_can_be_had_in_part() -> None:
    client = load("flask_orders").app.test_client()
    whole = client.get("/program")
    assert whole.data == (ROOT / "examples" / "flask_orders.py").read_bytes()
    part = client.get("/program", headers={"Range": "bytes=0-10"})
    assert (part.status_code, part.data) == (206, whole.data[:11])


def test_the_example_for_wsgi_runs() -> None:
    response = Client(load("wsgi_orders").app).get("/")
    assert response.text.splitlines()[0] == '{"id":0,"status":"open"}'
    assert len(response.text.splitlines()) == 3


def test_the_example_for_asgi_runs() -> None:
    response = get(load("asgi_ticks").app, last_event_id="2")
    assert response.body == b"id: 3\ndata: tick\n\n"
