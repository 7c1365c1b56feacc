"""Takes the pictures of the demo that the README shows: ``python -m examples.demo.picture``.

In a checkout, with Chromium and the dependency groups ``demo`` and ``browser``. It takes a minute,
on a machine that should have nothing else to do: what the plots show is this machine.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

EXAMPLES = Path(__file__).resolve().parents[1]

FOLDER = EXAMPLES.parent / "docs" / "pictures"

SIZE = (1280, 876)
"""In pixels of CSS: as wide as the page grows, down to the end of its first section."""

SCALE = 1.5
"""Pixels of the picture in one of CSS, for screens that have more of them."""

QUALITY = 80
"""Of WebP, from 0 to 100: both pictures together are smaller than 300 kB."""

MINUTE = 61.0
"""Seconds that a plot shows."""

CLICKS = {
    # A figure of traffic that has been seen by then to change, and a gap that has closed.
    12.0: "[data-card=export] [data-format=csv] button",
    34.0: "[data-card=figures] [data-action=drop]",
    46.0: "[data-card=archive] button",
}
"""What is pressed after so many seconds, first on the one server and then on the other."""


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with demo() as origin, browser() as chrome:
        chrome.get(f"{origin}/")
        started = time.monotonic()
        for seconds, selector in CLICKS.items():
            time.sleep(max(0, started + seconds - time.monotonic()))
            for button in chrome.find_elements(By.CSS_SELECTOR, selector):
                chrome.execute_script("arguments[0].click()", button)
                time.sleep(2)
        time.sleep(max(0, started + MINUTE - time.monotonic()))
        for scheme in ("light", "dark"):
            (FOLDER / f"demo-{scheme}.webp").write_bytes(picture(chrome, scheme))


@contextmanager
def demo() -> Iterator[str]:
    """The origin of a demo of its own."""
    command = [sys.executable, "-m", "demo.servers", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield origin(process)
        finally:
            process.terminate()


def origin(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    for line in process.stdout:
        if found := re.search(r"WSGI: .*(http://[\d.:]+)/", line):
            return found[1]
    raise SystemExit("The demo did not start.")


@contextmanager
def browser() -> Iterator[Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise SystemExit("This takes a browser: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless", "no-sandbox", "hide-scrollbars", "disable-background-networking"):
        options.add_argument(f"--{argument}")
    with Chrome(options, ChromeService(driver)) as chrome:
        width, height = SIZE
        chrome.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": SCALE, "mobile": False},
        )
        yield chrome


def picture(chrome: Chrome, scheme: str) -> bytes:
    """A WebP of the upper part of the page, in this colour scheme."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    # The plots are drawn in the new colours at the next frame.
    chrome.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    options = {"format": "webp", "quality": QUALITY}
    return base64.b64decode(chrome.execute_cdp_cmd("Page.captureScreenshot", options)["data"])


if __name__ == "__main__":
    main()
