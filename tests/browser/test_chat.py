"""The chat's page in a real browser: its answers survive what befalls pages."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

StartChat = Callable[..., AbstractContextManager[str]]

SECONDS = 30

LONG = "Tell a long story"
"""Whose answer takes half a minute: whatever is done to it, it is in the middle."""

FAILING = "Fail in the middle"


class Page:
    """One of the pages of a chat: what it shows of the latest answer."""

    def __init__(self, browser: Chrome, origin: str, chat: str) -> None:
        self.browser = browser
        self.origin = origin
        self.chat = chat
        browser.get(f"{origin}/#{chat}")
        self.window = browser.current_window_handle
        self.until(lambda: self.find("[data-field=about]").text)

    def find(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def show(self) -> None:
        self.browser.switch_to.window(self.window)

    def until(self, condition: Callable[[], object]) -> None:
        WebDriverWait(
            self.browser, SECONDS, 0.05, (NoSuchElementException, StaleElementReferenceException)
        ).until(lambda _: condition())

    def ask(self, question: str) -> None:
        before = len(self.questions())
        self.find("#question").send_keys(question)
        self.find("[type=submit]").click()
        self.until(lambda: len(self.questions()) == before + 1)

    def stop(self) -> None:
        self.find("[data-action=stop]").click()
        self.until(lambda: self.ending() == "stopped")

    def questions(self) -> list[str]:
        found = self.browser.find_elements(By.CSS_SELECTOR, ".messages .question")
        return [question.text for question in found]

    def text(self) -> str:
        """As it was made of what came."""
        text: str = self.browser.execute_script(
            "return [...document.querySelectorAll('.messages li:last-child .text p')]"
            ".map((paragraph) => paragraph.textContent).join('\\n\\n')"
        )
        return text

    def ending(self) -> str | None:
        ending: str | None = self.find(".messages li:last-child").get_attribute("data-ending")
        return ending

    def goes_on(self) -> str:
        """Wait for some words more; what is there by then."""
        before = self.text()
        self.until(lambda: len(self.text()) > len(before) + 20)
        return self.text()

    def kept(self) -> list[dict[str, Any]]:
        """What the server has of this chat."""
        with urlopen(f"{self.origin}/chats/{self.chat}") as state:
            messages: list[dict[str, Any]] = json.load(state)["messages"]
        return messages

    def shows_what_is_kept(self) -> bool:
        text = self.text()
        return bool(text) and self.kept()[-1]["answer"] == text

    def reload(self, *how: Callable[[], None]) -> None:
        """In the middle of an answer; return when there is more of it than before."""
        before = self.text()
        for step in how:
            step()
        self.until(lambda: len(self.text()) > len(before))
        assert self.goes_on().startswith(before)


@pytest.fixture
def page(browser: Chrome, chat: str) -> Iterator[Page]:
    page = Page(browser, chat, uuid4().hex)
    console(browser)
    yield page
    # But for what is to be expected: the connection that a failed answer breaks off.
    assert [each for each in console(browser) if "INCOMPLETE_CHUNKED" not in each["message"]] == []


@pytest.fixture
def second_tab(browser: Chrome) -> Iterator[None]:
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    yield
    browser.close()
    browser.switch_to.window(first)


def console(browser: Chrome) -> list[Any]:
    messages: list[Any] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return messages


def test_a_reload_in_the_middle_loses_and_repeats_nothing(page: Page) -> None:
    page.ask(LONG)
    page.goes_on()
    assert page.ending() == "open"
    page.reload(page.browser.refresh)
    # As one that was closed.
    page.reload(lambda: page.browser.get("about:blank"), page.browser.back)
    before = page.text()
    page.stop()
    page.until(page.shows_what_is_kept)
    assert page.text().startswith(before)
    assert page.questions() == [LONG]


def test_a_second_tab_follows_and_stops(page: Page, second_tab: None) -> None:
    second = Page(page.browser, page.origin, page.chat)
    page.show()
    page.ask(LONG)
    begun = page.goes_on()
    second.show()
    second.until(lambda: second.text().startswith(begun))
    second.goes_on()
    second.stop()
    page.show()
    page.until(lambda: page.ending() == "stopped")
    page.until(page.shows_what_is_kept)
    ended = page.text()
    second.show()
    second.until(lambda: second.text() == ended)


def test_what_fails_in_the_middle_says_so_and_the_chat_goes_on(page: Page) -> None:
    page.ask(FAILING)
    page.until(lambda: page.ending() == "failed")
    assert page.find(".ending").text.startswith("The model failed here.")
    page.until(page.shows_what_is_kept)
    page.find(".ending button").click()
    page.until(lambda: len(page.questions()) == 2 and page.ending() == "failed")
    page.ask("Why?")
    page.until(lambda: page.ending() == "done")
    page.until(page.shows_what_is_kept)
    assert page.questions() == [FAILING, FAILING, "Why?"]
    endings = ["failed", "failed", "done"]
    page.until(lambda: [message["ending"] for message in page.kept()] == endings)


def test_a_question_is_asked_by_a_key_or_a_suggestion(page: Page) -> None:
    field = page.find("#question")
    field.send_keys("Why", Keys.SHIFT, Keys.ENTER)
    assert field.get_attribute("value") == "Why\n"
    field.send_keys(Keys.NULL, "<b>not</b>?", Keys.ENTER)
    page.until(lambda: page.ending() == "done")
    # As it was written, and no markup.
    assert page.questions() == ["Why\n<b>not</b>?"]
    assert field.get_attribute("value") == ""
    # Nothing is no question.
    field.send_keys(" ", Keys.ENTER)
    page.find(".suggestions button").click()
    page.until(lambda: page.ending() == "open" or len(page.questions()) == 2)
    page.until(lambda: page.ending() == "done")
    assert page.questions()[1:] == [page.find(".suggestions button").text]


def test_a_new_chat_begins_empty_and_the_one_before_is_behind_it(page: Page) -> None:
    page.ask(FAILING)
    page.until(lambda: page.ending() == "failed")
    welcome = page.find(".welcome")
    assert not welcome.is_displayed()
    page.find("[data-action=new]").click()
    page.until(lambda: page.find(".welcome").is_displayed() and not page.questions())
    assert page.find("[data-action=again]").get_attribute("href") == page.browser.current_url
    assert page.chat not in page.browser.current_url
    page.browser.back()
    page.until(lambda: page.questions() == [FAILING])
    assert page.ending() == "failed"


def test_the_second_tab_of_its_link_shows_the_same_chat(page: Page) -> None:
    page.ask(LONG)
    begun = page.goes_on()
    page.find("[data-action=again]").click()
    (tab,) = {*page.browser.window_handles} - {page.window}
    page.browser.switch_to.window(tab)
    try:
        page.until(lambda: page.text().startswith(begun))
        page.stop()
    finally:
        page.browser.close()
        page.show()
    page.until(lambda: page.ending() == "stopped")


def test_a_server_that_was_killed_has_lost_what_it_kept_in_memory(
    browser: Chrome, start_chat: StartChat
) -> None:
    with start_chat(ends_with=signal.SIGKILL) as origin:
        page = Page(browser, origin, uuid4().hex)
        page.ask(LONG)
        page.goes_on()
    page.until(lambda: page.find("li:last-child").get_attribute("data-away") is not None)
    begun = page.text()
    with start_chat("--port", origin.rpartition(":")[2]):
        page.until(lambda: page.ending() == "lost")
        assert page.text() == begun
        assert "not kept" in page.find(".ending").text
        # Whoever comes without a word of it has it made anew.
        browser.refresh()
        page.until(lambda: page.ending() == "open")
        page.goes_on()
        page.stop()
        page.until(page.shows_what_is_kept)
        assert page.questions() == [LONG]


def test_a_server_that_is_told_to_end_keeps_what_there_was_by_then(
    browser: Chrome, start_chat: StartChat
) -> None:
    with start_chat() as origin:
        page = Page(browser, origin, uuid4().hex)
        page.ask(LONG)
        page.goes_on()
    begun = page.text()
    with start_chat("--port", origin.rpartition(":")[2]):
        for _ in range(2):
            page.until(lambda: page.ending() == "stopped")
            page.until(page.shows_what_is_kept)
            assert page.text().startswith(begun)
            browser.refresh()


def test_a_question_that_nobody_took_is_still_there(browser: Chrome, start_chat: StartChat) -> None:
    with start_chat() as origin:
        page = Page(browser, origin, uuid4().hex)
    field, trouble = page.find("#question"), page.find("[data-field=trouble]")
    field.send_keys("Why?", Keys.ENTER)
    page.until(lambda: trouble.text == "The server does not answer.")
    page.until(lambda: field.get_attribute("value") == "Why?")
    assert page.questions() == []
    with start_chat("--port", origin.rpartition(":")[2]):
        field.send_keys(Keys.ENTER)
        page.until(lambda: page.ending() == "done")
        assert (page.questions(), trouble.text) == (["Why?"], "")
        assert field.get_attribute("value") == ""


def test_what_one_process_makes_is_followed_and_stopped_in_another(
    browser: Chrome, chats_on_redis: tuple[str, str], second_tab: None
) -> None:
    one, other = chats_on_redis
    there = Page(browser, other, uuid4().hex)
    browser.switch_to.new_window("tab")
    here = Page(browser, one, there.chat)
    here.ask(LONG)
    begun = here.goes_on()
    there.show()
    there.until(lambda: there.text().startswith(begun))
    there.goes_on()
    there.stop()
    here.show()
    here.until(lambda: here.ending() == "stopped")
    here.until(here.shows_what_is_kept)
    browser.close()
    there.show()
    there.until(there.shows_what_is_kept)
