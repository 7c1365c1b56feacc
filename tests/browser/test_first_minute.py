"""What the demo shows to whoever opens it: the code of each card, and something to look at."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from streamkit import Channel, context
from streamkit.kind import SSE
from streamkit_adapters.flask import StreamingService, metrics

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "examples" / "demo" / "page"
INDEX = (PAGE / "index.html").read_text()

# That of the board is in three parts, which no route has.
CODE = {
    card: html.unescape(code)
    for card, code in re.findall(r'data-card="(\w+)">.*?<pre><code>(.*?)</code></pre>', INDEX, re.S)
    if card != "board"
}

PATHS = {
    "figures": ("/figures", b"data: 1\n\n"),
    "flood": ("/flood", b"data: 1\n\n"),
    "export": ("/lines.csv", b"line\r\n1\r\n"),
    "archive": ("/library.tar", b"tar"),
    "metrics": ("/metrics", b"# HELP"),
}


Wait = Callable[[Callable[[], Any]], Any]


class Archive(list[bytes]):
    size = 3

    def __init__(self, *arguments: object) -> None:
        super().__init__([b"tar"])


def test_every_card_has_its_code() -> None:
    assert CODE.keys() == PATHS.keys()


@pytest.mark.parametrize("card", CODE)
def test_the_code_of_a_card_is_a_route_that_answers(card: str) -> None:
    app = Flask(__name__)
    names: dict[str, Any] = {
        "Archive": Archive,
        "Channel": Channel,
        "StreamingService": StreamingService,
        "app": app,
        "context": context,
        "event": str,
        "lines": (lambda: [{"line": 1}]) if card == "export" else (lambda: [1]),
        "metrics": metrics,
        "paths": (),
        "root": ROOT,
        "samples": lambda seen: [1],
    }
    exec(CODE[card], names)
    path, body = PATHS[card]
    assert app.test_client().get(path).data.startswith(body)


def test_links_to_the_docs_lead_there() -> None:
    links = re.findall(r'href="https://github.com/[\w-]+/[\w-]+/blob/main/(.*?)"', INDEX)
    assert len(links) >= len(CODE)
    assert all((ROOT / link).is_file() for link in links)


def test_the_page_knows_how_often_heartbeats_come() -> None:
    assert f"const HEARTBEAT = {SSE.heartbeat:.0f};" in (PAGE / "page.js").read_text()


@pytest.fixture
def page(browser: Chrome, origins: dict[str, str]) -> Wait:
    """Waits until something is so on the page."""
    browser.get(f"{origins['asgi']}/")
    return lambda condition: WebDriverWait(browser, 30, 0.05).until(lambda _: condition())


def test_the_first_heartbeat_is_announced(browser: Chrome, page: Wait) -> None:
    fields = browser.find_elements(By.CSS_SELECTOR, "[data-field=heartbeat]")
    page(lambda: all(re.fullmatch(r"first in \d+ s", field.text) for field in fields))


def test_the_plot_is_full_from_the_start(browser: Chrome, page: Wait) -> None:
    """Its left quarter has more in it than the lines of the grid."""
    coloured = """
        const canvas = document.querySelector("[data-card=figures] canvas");
        if (!canvas) return 0;
        const width = Math.round(canvas.width / 4), left = Math.round(canvas.width / 10);
        const pixels = canvas.getContext("2d").getImageData(left, 0, width, canvas.height).data;
        return new Set(new Uint32Array(pixels.buffer)).size;
    """
    # A filled area and two lines have many; a grid has a handful.
    page(lambda: browser.execute_script(coloured) > 20)


def test_the_code_is_copied(browser: Chrome, page: Wait) -> None:
    browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    page(lambda: browser.find_elements(By.CSS_SELECTOR, ".copy"))
    button = browser.find_element(By.CSS_SELECTOR, "[data-card=export] .copy")
    button.click()
    page(lambda: button.text == "Copied")
    read = "navigator.clipboard.readText().then(arguments[0])"
    copied = browser.execute_async_script(read)
    assert copied == CODE["export"]
