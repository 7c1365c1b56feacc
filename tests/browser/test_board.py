"""The demo's shared board in a real browser: all see what one paints, whatever befalls them."""

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

SECONDS = 30
CELLS = 240
SERVERS = ("wsgi", "asgi")


def paint(origin: str, cell: int, colour: int) -> None:
    with urlopen(Request(f"{origin}/board?cell={cell}&colour={colour}", method="POST")) as answer:
        assert answer.status == 200


def cells(origin: str) -> list[int]:
    with urlopen(f"{origin}/board.json") as answer:
        found: list[int] = json.load(answer)["cells"]
    return found


class BoardCard:
    """One of the two boards of a page."""

    def __init__(self, browser: Chrome, server: str) -> None:
        self._browser = browser
        self._selector = f"[data-card=board] [data-server={server}]"

    def find(self, selector: str) -> Any:
        return self._browser.find_element(By.CSS_SELECTOR, f"{self._selector} {selector}")

    def cells(self) -> list[int]:
        shown: list[int] = self._browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((c) => +c.dataset.colour)",
            f"{self._selector} .board button",
        )
        return shown

    def text(self, field: str) -> str:
        text: str = self.find(f"[data-field={field}]").text
        return text

    def until(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self._browser, SECONDS, 0.05).until(lambda _: condition())

    def lose_connection(self) -> None:
        """And have it again."""
        before = self.text("reconnects")
        self.click("[data-action=drop]")
        self.until(lambda: self.text("reconnects") != before)

    def until_live(self) -> None:
        self.until(lambda: self.text("state") == "live" and len(self.cells()) == CELLS)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def click_cell(self, cell: int) -> None:
        self.click(f".board button:nth-child({cell + 1})")


@pytest.fixture
def boards(browser: Chrome, origins: dict[str, str]) -> Iterator[list[BoardCard]]:
    """Both of a page. Its console stays empty."""
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.get(f"{origins['wsgi']}/")
    boards = [BoardCard(browser, server) for server in SERVERS]
    for board in boards:
        board.until_live()
    yield boards
    messages = browser.get_log("browser")  # type: ignore[no-untyped-call]
    # What a page says of a connection that it has ended itself.
    assert [each for each in messages if "ERR_" not in each["message"]] == []


def test_what_is_painted_on_one_side_is_seen_on_both(
    boards: list[BoardCard], origins: dict[str, str]
) -> None:
    for cell, board in enumerate(boards):
        board.click(".palette label:nth-child(4)")
        board.click_cell(cell)
    for board in boards:
        board.until(lambda board=board: board.cells()[:2] == [3, 3])  # type: ignore[misc]
    for origin in origins.values():
        assert cells(origin)[:2] == [3, 3]


def test_another_window_sees_it_and_so_does_one_that_comes_later(
    boards: list[BoardCard], browser: Chrome, origins: dict[str, str]
) -> None:
    first = browser.current_window_handle
    browser.switch_to.new_window("window")
    try:
        browser.get(f"{origins['asgi']}/")
        others = [BoardCard(browser, server) for server in SERVERS]
        for other in others:
            other.until_live()
        others[1].click_cell(17)
        others[0].until(lambda: others[0].cells()[17] == 1)
        browser.switch_to.window(first)
        boards[0].until(lambda: boards[0].cells()[17] == 1)
        browser.refresh()
        boards[1].until_live()
        assert boards[1].cells()[17] == 1
    finally:
        for window in browser.window_handles:
            if window != first:
                browser.switch_to.window(window)
                browser.close()
        browser.switch_to.window(first)


@pytest.mark.parametrize("server", [0, 1], ids=SERVERS)
def test_a_page_that_lost_its_connection_is_sent_what_it_missed(
    boards: list[BoardCard], origins: dict[str, str], server: int
) -> None:
    board = boards[server]
    for colour in (1, 2, 3):
        before = board.text("reconnects")
        board.click("[data-action=drop]")
        # It is away for a second, which may be over before anybody looks.
        board.until(
            lambda before=before: (  # type: ignore[misc]
                board.text("state") == "reconnecting" or board.text("reconnects") != before
            )
        )
        for cell in range(40, 60):
            paint(origins[SERVERS[cell % 2]], cell, colour)
        board.until(lambda before=before: board.text("reconnects") != before)  # type: ignore[misc]
        board.until(lambda colour=colour: board.cells()[40:60] == [colour] * 20)  # type: ignore[misc]
        assert board.cells() == cells(origins["wsgi"])
    assert (board.text("missed"), board.text("doubled")) == ("0", "0")
    assert int(board.text("events")) >= 60


class Wire:
    """A connection's way to a server, which may be cut."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._ends += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()


@pytest.mark.parametrize("server", SERVERS)
def test_an_event_source_whose_connection_is_cut_misses_and_doubles_nothing(
    browser: Chrome, origins: dict[str, str], server: str
) -> None:
    wire = Wire(origins[server])
    try:
        browser.get(f"{origins['wsgi']}/about.json")
        browser.execute_script(
            """
            const seen = window.seen = { ids: [], gaps: [], opened: 0 };
            const source = window.source = new EventSource(arguments[0]);
            source.onopen = () => seen.opened++;
            source.addEventListener("subscribed", ({ lastEventId }) => seen.ids.push(lastEventId));
            source.addEventListener("painted", ({ lastEventId }) => seen.ids.push(lastEventId));
            source.addEventListener("gap", ({ data }) => seen.gaps.push(data));
            """,
            f"{wire.origin}/board",
        )

        def seen() -> dict[str, Any]:
            found: dict[str, Any] = browser.execute_script("return window.seen")
            return found

        wait = WebDriverWait(browser, SECONDS, 0.05)
        painted = 0
        for cut in range(1, 4):
            wait.until(lambda _, cut=cut: seen()["opened"] == cut)  # type: ignore[misc]
            wait.until(lambda _: seen()["ids"])
            for number in range(30):
                paint(origins[SERVERS[number % 2]], number, 1 + number % 5)
                painted += 1
                if number == 15:
                    wire.cut()
        wait.until(lambda _: len(seen()["ids"]) >= 1 + painted)
        numbers = [int(each.rpartition("-")[2]) for each in seen()["ids"]]
        assert numbers == [*range(numbers[0], numbers[0] + 1 + painted)]
        assert seen()["gaps"] == []
        assert seen()["opened"] == 4
        browser.execute_script("window.source.close()")
    finally:
        wire.close()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("query", ["cell=240&colour=1", "cell=1&colour=6", "cell=x", ""])
def test_what_is_no_cell_is_refused(origins: dict[str, str], server: str, query: str) -> None:
    with pytest.raises(HTTPError, match="400") as refused:
        urlopen(Request(f"{origins[server]}/board?{query}", method="POST"))
    refused.value.close()


@pytest.mark.parametrize("server", SERVERS)
def test_a_process_by_itself_is_not_killed(origins: dict[str, str], server: str) -> None:
    query, own = f"process={process_of(origins[server])}", {"Origin": origins["wsgi"]}
    for headers, status in (({}, "403"), ({"Origin": "http://elsewhere"}, "403"), (own, "400")):
        request = Request(f"{origins[server]}/kill?{query}", method="POST", headers=headers)
        with pytest.raises(HTTPError, match=status) as refused:
            urlopen(request)
        refused.value.close()


def process_of(origin: str) -> int:
    with urlopen(f"{origin}/about.json") as answer:
        return int(answer.headers["X-Process"])


def position(origin: str) -> int:
    """The number of the latest event."""
    with urlopen(f"{origin}/board.json") as answer:
        found: str = json.load(answer)["position"]
    return int(found.rpartition("-")[2])


class Tab:
    """A window with the demo's page, which it shows while it is used."""

    def __init__(self, browser: Chrome, origin: str) -> None:
        browser.switch_to.new_window("tab")
        browser.get(f"{origin}/")
        self._browser = browser
        self._handle = browser.current_window_handle
        self._boards = [BoardCard(browser, server) for server in SERVERS]
        for board in self._boards:
            board.until_live()

    def boards(self) -> list[BoardCard]:
        self._browser.switch_to.window(self._handle)
        return self._boards

    def processes(self) -> list[str]:
        return [board.text("process") for board in self.boards()]

    def close(self) -> None:
        self._browser.switch_to.window(self._handle)
        self._browser.close()


def test_processes_are_killed_and_nobody_misses_or_doubles_anything(
    browser: Chrome, workers_demo: tuple[subprocess.Popen[str], dict[str, str]]
) -> None:
    demo, origins = workers_demo
    first = browser.current_window_handle
    tabs = [Tab(browser, origins[server]) for server in SERVERS]
    try:
        # One of the boards of each tab, and each on a process of its own.
        while tabs[0].processes()[0] == tabs[1].processes()[1]:
            tabs[1].boards()[1].lose_connection()
        begin = position(origins["wsgi"])
        painted = [0] * CELLS
        killed = set()
        for turn, tab in enumerate([tabs[0], tabs[1], tabs[0]]):
            board = tab.boards()[turn % 2]
            for cell in range(turn * 80, turn * 80 + 80):
                if cell % 80 == 40:
                    killed.add(board.text("process"))
                    board.click("[data-action=kill]")
                painted[cell] = 1 + cell % 5
                paint_until_answered(origins[SERVERS[cell % 2]], cell, painted[cell])
            board.until(lambda board=board: board.text("process") not in killed)  # type: ignore[misc]
        assert len(killed) == 3
        end = position(origins["asgi"])
        for tab in tabs:
            for board in tab.boards():
                board.until(lambda board=board: board.text("events") == f"{end - begin}")  # type: ignore[misc]
                assert (board.text("missed"), board.text("doubled")) == ("0", "0")
                assert board.cells() == painted
                assert board.text("process") not in killed
        assert cells(origins["wsgi"]) == cells(origins["asgi"]) == painted
    finally:
        for tab in tabs:
            tab.close()
        browser.switch_to.window(first)
    workers = psutil.Process(demo.pid).children()
    assert len(workers) == 3
    demo.terminate()
    said, _ = demo.communicate(timeout=SECONDS)
    assert (demo.returncode, said.count("was killed; another takes its place")) == (0, 3)
    assert not any(worker.is_running() for worker in workers)


def paint_until_answered(origin: str, cell: int, colour: int) -> None:
    """As the page does: whoever took the request may be killed before it has answered."""
    while True:
        with suppress(OSError, HTTPException):
            return paint(origin, cell, colour)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "2"], "several processes need a Redis"),
        (["--workers", "0"], "--workers must be 1 or more"),
        (["--redis", "redis://127.0.0.1:1/0"], "Connection refused"),
        (["--redis", "http://127.0.0.1"], "url must begin with"),
    ],
)
def test_a_demo_that_cannot_start_says_what_it_needs(
    refused_demo: Callable[..., str], arguments: list[str], said: str
) -> None:
    error = refused_demo(*arguments)
    assert said in error
    assert "Traceback" not in error
