"""A page's own EventSource: nothing ends it for good, and it reads what other clients do."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from clients.script import EVENTS
from clients.serving import serving
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait
from werkzeug.serving import WSGIRequestHandler, make_server

import streamkit
from streamkit import ServerSentEvent, signals
from streamkit.testing import Event
from streamkit_adapters.wsgi import StreamingService, StreamkitMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECONDS = 30

OPEN = """
const source = window.source = new EventSource(arguments[0]);
const said = window.said = [];
source.onmessage = ({ data }) => said.push(data);
source.onerror = () => said.push(["CONNECTING", "OPEN", "CLOSED"][source.readyState]);
"""
"""What the page does: it says each event, and its state after each error."""


class Page:
    def __init__(self, browser: Chrome, origin: str, path: str) -> None:
        self._browser = browser
        browser.get(f"{origin}/page")
        browser.execute_script(OPEN, path)

    def said(self) -> list[str]:
        said: list[str] = self._browser.execute_script("return said")
        return said

    def until(self, condition: Callable[[list[str]], object]) -> list[str]:
        """Wait until this is so of what was said, and give that back."""

        def is_so(browser: Chrome) -> bool:
            assert "CLOSED" not in self.said(), "it does not come back"
            return bool(condition(self.said()))

        WebDriverWait(self._browser, SECONDS, 0.05).until(is_so)
        return self.said()


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        pass


class Visits:
    """An application, and when its event stream was asked for."""

    def __init__(self, source: Callable[[int], Any]) -> None:
        """``source`` is that of a visit, by its number."""
        self.times: list[float] = []
        self._source = source

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/events":
            # The page, which is no stream and needs no place.
            start_response("200 OK", [("Content-Type", "text/html")])
            return []
        self.times.append(monotonic())
        response = StreamingService.sse("events", self._source(len(self.times)))
        return response(environ, start_response)


@contextmanager
def served(app: Visits, max_streams: int | None = None) -> Iterator[str]:
    """The origin of the application, on threads, as a page has more than one connection."""
    wsgi_app = StreamkitMiddleware(app, max_streams=max_streams)
    with make_server("127.0.0.1", 0, wsgi_app, threaded=True, request_handler=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def one_event(number: int = 0) -> AsyncIterator[str]:
    """And nothing more, for as long as its client is there."""
    yield "event"
    await asyncio.Event().wait()


@contextmanager
def taken(origin: str) -> Iterator[None]:
    """The place that there is."""
    connection = HTTPConnection("127.0.0.1", urlsplit(origin).port, timeout=SECONDS)
    connection.request("GET", "/events")
    response = connection.getresponse()
    assert response.readline() == b"data: event\n"
    yield
    response.close()
    connection.close()


@contextmanager
def shut_down(origin: str = "") -> Iterator[None]:
    """The process ends, and another takes its place."""
    streamkit.shutdown()
    try:
        yield
    finally:
        signals._forget()


@pytest.fixture
def comes_back_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the milliseconds after which clients are told to come back."""

    def set(milliseconds: int) -> None:
        monkeypatch.setattr("streamkit.response.RETRY", (milliseconds, milliseconds))

    return set


@pytest.mark.parametrize("busy", [taken, shut_down])
def test_a_page_that_was_not_let_in_comes_back_until_it_is(
    busy: Callable[[str], Any], browser: Chrome, comes_back_in: Callable[[int], None]
) -> None:
    comes_back_in(20)
    with served(Visits(one_event), max_streams=1) as origin:
        with busy(origin):
            page = Page(browser, origin, "/events")
            assert {*page.until(lambda said: len(said) >= 3)} == {"CONNECTING"}
        *errors, event = page.until(lambda said: "event" in said)
        assert event == "event"
        assert {*errors} == {"CONNECTING"}
        # It leaves, so that the server can.
        browser.get("about:blank")


def test_a_page_comes_back_when_it_was_told_to_by_the_application(browser: Chrome) -> None:
    """By a ``retry`` without a blank line behind it, which is another than the one before."""
    ended_at: list[float] = []

    def source(visit: int) -> Iterator[ServerSentEvent]:
        yield ServerSentEvent("hello", retry=1)
        yield ServerSentEvent(None, retry=500)
        ended_at.append(monotonic())

    visits = Visits(source)
    with served(visits) as origin:
        page = Page(browser, origin, "/events")
        page.until(lambda said: said.count("hello") >= 2)
        browser.get("about:blank")
    assert visits.times[1] - ended_at[0] >= 0.5


def test_a_page_that_was_not_let_in_comes_back_when_it_was_told_to(
    browser: Chrome, comes_back_in: Callable[[int], None]
) -> None:
    comes_back_in(500)
    visits = Visits(lambda visit: iter([ServerSentEvent("hello", retry=1)]))
    with served(visits) as origin:
        page = Page(browser, origin, "/events")
        page.until(lambda said: "hello" in said)
        with shut_down():
            before = len(visits.times)
            page.until(lambda said: len(visits.times) >= before + 2)
        browser.get("about:blank")
    assert visits.times[before + 1] - visits.times[before] >= 0.5


def test_a_page_goes_on_with_the_new_process_when_a_server_is_reloaded(browser: Chrome) -> None:
    with serving("gunicorn-gthread", TEST_RETRY="20") as server:
        page = Page(browser, server.origin, "/process")
        (old,) = page.until(len)
        server.send(signal.SIGHUP)
        _, *errors, new = page.until(lambda said: {*said} - {old, "CONNECTING"})
        assert old.isdigit()
        assert new.isdigit()
        assert errors
        assert {*errors} == {"CONNECTING"}
        browser.get("about:blank")


def test_a_page_reads_every_event_and_nothing_else(browser: Chrome) -> None:
    with serving("uvicorn-h11") as server:
        browser.get(f"{server.origin}/page")
        events = browser.execute_async_script(
            """
            const [url, last, done] = arguments;
            const events = [];
            const source = new EventSource(url);
            const take = ({ data, type, lastEventId }) => {
              events.push([data, type, lastEventId]);
              if (lastEventId === last) source.close(), done(events);
            };
            source.addEventListener("message", take);
            source.addEventListener("tick", take);
            source.onerror = () => done([...events, ["an error", "", ""]]);
            """,
            "/events",
            EVENTS[-1].last_event_id,
        )
    assert [Event(*event) for event in events] == EVENTS
