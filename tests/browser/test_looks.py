"""Both pages in the dark, without JavaScript, and for those who do not want anything to move."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

StartChat = Callable[..., AbstractContextManager[str]]

HARD_TO_READ = """
    const canvas = new OffscreenCanvas(1, 1);
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const painted = (...colours) => {
      for (const colour of colours) pen.fillStyle = colour, pen.fillRect(0, 0, 1, 1);
      return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (pixel) => {
      const [red, green, blue] = pixel.map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
      const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
      const text = own.map((node) => node.data.trim()).join("");
      // What is there for screen readers alone is beside the page.
      const isBeside = element.getBoundingClientRect().right < 0;
      if (!text || isBeside || !element.checkVisibility({ visibilityProperty: true })) continue;
      const behind = [];
      for (let at = element; at; at = at.parentElement) {
        behind.unshift(getComputedStyle(at).backgroundColor);
      }
      const style = getComputedStyle(element);
      const ground = luminance(painted("white", ...behind));
      const ink = luminance(painted("white", ...behind, style.color));
      const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      if (contrast < (isLarge ? 3 : 4.5)) found.push(`${contrast.toFixed(2)}: ${text}`);
    }
    return found;
"""
"""Texts whose contrast is less than WCAG 2.2 asks for (1.4.3, AA)."""


@pytest.fixture(params=["demo", "chat"])
def address(
    request: pytest.FixtureRequest, origins: dict[str, str], start_chat: StartChat
) -> Iterator[str]:
    """Of each page."""
    if request.param == "demo":
        yield f"{origins['asgi']}/"
    else:
        with start_chat() as origin:
            yield f"{origin}/#looks"


@pytest.fixture
def preferring(browser: Chrome) -> Iterator[Callable[[str, str], None]]:
    """Say what the browser's user prefers."""

    def prefer(name: str, value: str) -> None:
        features = [{"name": f"prefers-{name}", "value": value}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    yield prefer
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def until(browser: Chrome, condition: Callable[[], object]) -> None:
    WebDriverWait(browser, 30, 0.05).until(lambda _: condition())


def texts(browser: Chrome, selector: str) -> list[str]:
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_texts_can_be_read(
    browser: Chrome, address: str, preferring: Callable[[str, str], None], scheme: str
) -> None:
    preferring("color-scheme", scheme)
    browser.get("about:blank")
    browser.get(address)
    if "#" in address:
        until(browser, lambda: all(texts(browser, "[data-field=about]")))
        browser.find_element(By.CSS_SELECTOR, ".suggestions li:last-child button").click()
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-ending=failed]"))
    else:
        until(browser, lambda: texts(browser, "[data-field=state]") == ["live"] * 4)
    ground = "return getComputedStyle(document.body).backgroundColor"
    red = int(browser.execute_script(ground).removeprefix("rgb(").partition(",")[0])
    assert (red < 64) == (scheme == "dark")
    assert browser.execute_script(HARD_TO_READ) == []


def test_without_javascript_a_page_says_what_it_needs(browser: Chrome, address: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get(address)
        (said,) = texts(browser, "noscript p")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "JavaScript" in said


def test_the_plot_shows_what_comes_without_moving_in_between(
    browser: Chrome, origins: dict[str, str], preferring: Callable[[str, str], None]
) -> None:
    preferring("reduced-motion", "reduce")
    browser.get(f"{origins['asgi']}/")
    card = "[data-card=figures] [data-server=asgi]"
    until(browser, lambda: texts(browser, f"{card} [data-field=state]") == ["live"])
    until(browser, lambda: texts(browser, f"{card} [data-field=id]")[0][-1].isdigit())
    seen: Any = browser.execute_async_script(
        """
        const [selector, done] = arguments;
        const canvas = document.querySelector(`${selector} canvas`);
        const id = document.querySelector(`${selector} [data-field=id]`);
        const pictures = {};
        const look = () => {
          (pictures[id.textContent] ??= new Set()).add(canvas.toDataURL());
          if (Object.keys(pictures).length < 6) return requestAnimationFrame(look);
          // The first and the last were seen in part.
          const whole = Object.values(pictures).slice(1, -1);
          done([whole.map((set) => set.size), new Set(whole.flatMap((set) => [...set])).size]);
        };
        look();
        """,
        card,
    )
    of_each, of_all = seen
    assert of_each == [1] * 4
    assert of_all == 4
