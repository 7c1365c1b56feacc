"""The demo's page in a real browser, against both of its servers."""

import csv
import hashlib
import json
import platform
import re
import signal
import sqlite3
import subprocess
import sysconfig
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from operator import eq
from pathlib import Path
from typing import Any, TextIO
from urllib.request import urlopen

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

SECONDS = 30

INDEX = (
    Path(__file__).parents[2] / f"examples/demo/data/library-{platform.python_version()}.sqlite3"
)
LIBRARY = Path(sysconfig.get_path("stdlib"))
COLUMNS = ("path", "size", "modified", "lines", "sha256", "line", "text")

READERS: dict[str, Callable[[TextIO], Iterable[dict[str, Any]]]] = {
    "json": json.load,
    "csv": csv.DictReader,
    "ndjson": lambda file: map(json.loads, file),
}

both_servers = pytest.mark.parametrize("server", ["wsgi", "asgi"])


class Card:
    """What the page shows of one server, for one kind of stream."""

    def __init__(self, browser: Chrome, kind: str, server: str, part: str = "") -> None:
        self.browser = browser
        self._selector = f"[data-card={kind}] [data-server={server}] {part}"

    def find(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, f"{self._selector} {selector}")

    def text(self, field: str) -> str:
        text: str = self.find(f"[data-field={field}]").text
        return text

    def number(self, field: str) -> int:
        return int(self.text(field).replace(",", ""))

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for this; the page may replace what is looked at meanwhile."""
        WebDriverWait(
            self.browser, SECONDS, 0.05, (NoSuchElementException, StaleElementReferenceException)
        ).until(lambda _: condition())

    def shows(self, field: str, text: str) -> None:
        self.until(lambda: self.text(field).startswith(text))

    def follow(self, field: str) -> Callable[[], list[int]]:
        """Note every number that this field shows from now on; the result tells them."""
        self.browser.execute_script(
            """
            const [field] = arguments;
            field.numbers = [];
            new MutationObserver((changes) => {
              for (const change of changes) {
                field.numbers.push(Number(change.addedNodes[0].data.replaceAll(",", "")));
              }
            }).observe(field, { childList: true });
            """,
            self.find(f"[data-field={field}]"),
        )

        def numbers() -> list[int]:
            found: list[int] = self.browser.execute_script(
                "return arguments[0].numbers", self.find(f"[data-field={field}]")
            )
            return found

        return numbers

    def picture(self) -> str:
        """The pixels of the plot."""
        picture: str = self.browser.execute_script(
            "return arguments[0].toDataURL()", self.find("canvas")
        )
        return picture

    def save(self, downloads: Path) -> Path:
        """Save what has arrived; where it was saved."""
        self.click(".save")
        self.until(lambda: [*downloads.iterdir()] and not [*downloads.glob("*.crdownload")])
        (saved,) = downloads.iterdir()
        return saved


def query(sql: str) -> list[Any]:
    with closing(sqlite3.connect(INDEX)) as index:
        return index.execute(sql).fetchall()


def consecutive(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.fixture
def page(browser: Chrome, origins: dict[str, str]) -> Iterator[Chrome]:
    """The page, as the WSGI server serves it. Its console stays empty."""
    console(browser)
    open_page(browser, origins["wsgi"])
    yield browser
    assert console(browser) == []


def open_page(browser: Chrome, origin: str) -> None:
    """Open the page and wait until both of its streams are live."""
    browser.get(f"{origin}/")
    for server in ("wsgi", "asgi"):
        Card(browser, "figures", server).shows("state", "live")


def console(browser: Chrome) -> list[Any]:
    """What has been logged since the last call."""
    messages: list[Any] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return messages


@both_servers
@pytest.mark.parametrize("source", ["sync", "async"])
def test_figures_arrive_and_the_plot_moves(page: Chrome, server: str, source: str) -> None:
    card = Card(page, "figures", server)
    ids = card.follow("id")
    card.click(f"label:has([value={source}])")
    before = card.picture()
    card.until(lambda: len(ids()) > 6)
    assert card.picture() != before
    assert consecutive(ids())
    assert re.fullmatch(r"\d+ %", card.text("cpu"))
    assert re.fullmatch(r"[\d.]+ [kM]?B/s", card.text("sent"))


@both_servers
def test_after_the_server_ended_the_stream_the_page_reconnects_and_misses_nothing(
    page: Chrome, server: str
) -> None:
    card = Card(page, "figures", server)
    ids = card.follow("id")
    card.until(ids)
    before = ids()[-1]
    card.click("[data-action=drop]")
    card.shows("state", "reconnecting")
    card.shows("state", "live")
    card.until(lambda: ids()[-1] > before + 6)
    assert consecutive(ids())
    assert card.number("reconnects") == 1
    assert card.number("missed") == 0


def test_the_page_reads_both_servers_whichever_it_came_from(
    browser: Chrome, origins: dict[str, str]
) -> None:
    open_page(browser, origins["asgi"])


@both_servers
def test_a_plain_event_source_reads_the_figures(
    browser: Chrome, origins: dict[str, str], server: str
) -> None:
    browser.get(f"{origins['wsgi']}/about.json")
    events = browser.execute_async_script(
        """
        const [url, done] = arguments;
        const source = new EventSource(url);
        const events = [];
        source.onmessage = ({ data, lastEventId }) => {
          events.push([JSON.parse(data).id, Number(lastEventId)]);
          if (events.length === 5) source.close(), done(events);
        };
        """,
        f"{origins[server]}/figures/async",
    )
    assert [id for id, _ in events] == [id for _, id in events]
    assert consecutive([id for id, _ in events])


def test_a_reader_that_stops_is_told_how_many_events_it_lost(page: Chrome) -> None:
    cards = [Card(page, "flood", server) for server in ("wsgi", "asgi")]
    for card in cards:
        card.click("button")  # start
    for card in cards:
        card.click("button")  # pause
    ids = Card(page, "figures", "wsgi").follow("id")
    cards[0].until(lambda: len(ids()) > 40)  # ten seconds
    for card in cards:
        card.click("button")  # read on
    [(rows,)] = query("SELECT count(*) FROM line")
    for card in cards:
        card.shows("verdict", "Every event is accounted for")
        assert card.number("dropped") > 0
        assert card.number("received") + card.number("dropped") == rows


@both_servers
def test_the_archive_arrives_whole(page: Chrome, downloads: Path, server: str) -> None:
    card = Card(page, "archive", server)
    card.click("button")
    card.shows("verdict", "SHA-256 matches")
    archive = card.save(downloads)
    assert archive.name == "library.tar"
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in card.text("verdict")
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert list(files) == [path for (path,) in query("SELECT path FROM file ORDER BY id")]
    assert all(content == (LIBRARY / path).read_bytes() for path, content in files.items())


@both_servers
@pytest.mark.parametrize("format", READERS)
def test_an_export_arrives_whole(page: Chrome, downloads: Path, server: str, format: str) -> None:
    card = Card(page, "export", server, f"[data-format={format}]")
    card.click("button")
    card.shows("verdict", "complete")
    export = card.save(downloads)
    assert export.name == f"lines.{format}"
    with export.open(encoding="utf-8", newline="") as file:
        rows = list(READERS[format](file))
    expected = query(
        "SELECT path, size, modified, lines, sha256, number, text"
        " FROM line JOIN file ON file.id = line.file ORDER BY line.rowid"
    )
    if format == "csv":
        expected = [tuple(map(str, row)) for row in expected]
    assert len(rows) == len(expected) >= 100_000
    assert f"{len(rows):,} rows" in card.text("amount")
    assert all(map(eq, rows, (dict(zip(COLUMNS, row, strict=True)) for row in expected)))


def test_what_breaks_off_says_so_and_nothing_of_it_is_saved(
    browser: Chrome, own_demo: tuple[subprocess.Popen[str], dict[str, str]]
) -> None:
    process, origins = own_demo
    open_page(browser, origins["asgi"])
    flood = Card(browser, "flood", "asgi")
    flood.click("button")  # start
    flood.until(lambda: flood.number("received"))
    flood.click("button")  # pause
    archive = Card(browser, "archive", "wsgi")
    export = Card(browser, "export", "asgi", "[data-format=json]")
    slow = {"offline": False, "latency": 0, "uploadThroughput": -1, "downloadThroughput": 500_000}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    try:
        for card in (archive, export):
            card.click("button")
            card.until(lambda card=card: float(card.find("progress").get_attribute("value")))  # type: ignore[misc]
            assert not card.find("button").is_enabled()
        process.kill()
        for card in (archive, export):
            card.shows("verdict", "broken off")
            # It may be tried again.
            assert card.find("button").is_enabled()
            assert not card.find(".save").is_displayed()
    finally:
        browser.execute_cdp_cmd("Network.disable", {})
    # Out from behind the names of the servers, which stay in sight.
    browser.execute_script("scrollTo(0, 0)")
    flood.click("button")  # read on
    flood.shows("verdict", "The stream broke off.")
    assert flood.find("button").text == "Start"
    for server in ("wsgi", "asgi"):
        Card(browser, "figures", server).shows("state", "reconnecting")


@both_servers
def test_the_page_shows_the_metrics_that_prometheus_reads(
    page: Chrome, origins: dict[str, str], server: str
) -> None:
    card = Card(page, "metrics", server)
    card.until(lambda: card.find("tbody tr td:nth-of-type(1)").text == "1")
    with urlopen(f"{origins[server]}/metrics") as metrics:
        text = metrics.read().decode()
    assert f'stream_active{{kind="sse",stream="figures",tenant="{server}"}} 1.0' in text


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_demo_in_the_middle_of_its_streams(
    own_demo: tuple[subprocess.Popen[str], dict[str, str]], stop: signal.Signals
) -> None:
    process, origins = own_demo
    with ExitStack() as streams:
        for origin in origins.values():
            stream = streams.enter_context(urlopen(f"{origin}/figures/sync"))
            assert stream.readline()
        process.send_signal(stop)
        rest, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, rest) == (0, "")
