"""The demo's servers, and Chromium to look at them."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis_server import redis_server
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

EXAMPLES = Path(__file__).parents[2] / "examples"

Demo = tuple[subprocess.Popen[str], dict[str, str]]


def demo_environment() -> dict[str, str]:
    path = [str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


@contextmanager
def running_demo(*arguments: str) -> Iterator[Demo]:
    """The demo's process on free ports, and the origin of each of its servers."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo.servers", "--port", "0", *arguments],
        env=demo_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            origins: dict[str, str] = {}
            said = ""
            while len(origins) < 2:
                assert process.stdout
                line = process.stdout.readline()
                said += line
                assert line, f"the demo ended before its servers had started:\n{said}"
                if found := re.search(r"(WSGI|ASGI): .*(http://[\d.:]+)/", line):
                    origins[found[1].lower()] = found[2]
            yield process, origins
        finally:
            process.terminate()


@pytest.fixture
def own_demo() -> Iterator[Demo]:
    """One that the test may stop."""
    with running_demo() as demo:
        yield demo


@pytest.fixture(scope="session")
def origins() -> Iterator[dict[str, str]]:
    with running_demo() as (_, origins):
        yield origins


@pytest.fixture
def workers_demo() -> Iterator[Demo]:
    """Of three processes, and a Redis of their own."""
    with redis_server() as redis, running_demo("--workers", "3", "--redis", redis.url) as demo:
        yield demo


@pytest.fixture
def refused_demo() -> Callable[..., str]:
    """What the demo says that does not start, with these arguments."""

    def refused(*arguments: str) -> str:
        command = [sys.executable, "-m", "demo.servers", "--port", "0", *arguments]
        done = subprocess.run(
            command, env=demo_environment(), capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    return refused


@pytest.fixture(scope="session")
def chrome() -> Iterator[Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.fail("these tests need a browser: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with TemporaryDirectory() as profile:
        for argument in (
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "window-size=1280,1000",
            f"user-data-dir={profile}",
        ):
            options.add_argument(f"--{argument}")
        with Chrome(options, ChromeService(driver)) as chrome:
            yield chrome


@pytest.fixture
def downloads() -> Iterator[Path]:
    """Where the browser saves, in this test."""
    with TemporaryDirectory() as downloads:
        yield Path(downloads)


@pytest.fixture
def browser(chrome: Chrome, downloads: Path) -> Chrome:
    chrome.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    return chrome


@contextmanager
def running_chat(
    data: Path, *arguments: str, ends_with: signal.Signals = signal.SIGTERM
) -> Iterator[str]:
    """The origin of a process of the chat, on a free port."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "chat", "--port", "0", "--data", str(data)),
            *("--words-per-second", "60", *arguments),
        ],
        env=demo_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout
            said = process.stdout.readline()
            found = re.search(r"http://[\d.:]+", said)
            assert found, f"the chat has not started:\n{said}{process.stdout.read()}"
            yield found[0]
        finally:
            process.send_signal(ends_with)


@pytest.fixture(scope="session", params=["fastapi", "flask"])
def chat(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of the chat, behind each framework."""
    data = tmp_path_factory.mktemp("chat") / "chat.sqlite3"
    with running_chat(data, *(["--flask"] if request.param == "flask" else [])) as origin:
        yield origin


@pytest.fixture
def start_chat(tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Runs one, with what was said in this test before."""
    return partial(running_chat, tmp_path / "chat.sqlite3")


@pytest.fixture
def chats_on_redis(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The origins of two, behind FastAPI and behind Flask, that have the same chats."""
    data = tmp_path / "chat.sqlite3"
    with (
        redis_server() as redis,
        running_chat(data, "--redis", redis.url) as one,
        running_chat(data, "--redis", redis.url, "--flask") as other,
    ):
        yield one, other
