"""The names under which a real browser saves."""

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from werkzeug.serving import WSGIRequestHandler, make_server

from streamkit_adapters.wsgi import StreamingService

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECONDS = 30

DATA = os.urandom(1000)


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    query = parse_qs(environ["QUERY_STRING"])
    response = StreamingService.download(
        query["text"][0].encode() if "text" in query else DATA,
        filename=query["filename"][0],
        inline="inline" in query,
    )
    return response(environ, start_response)


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    # Threads, as a browser opens connections in advance and keeps them for minutes.
    with make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("filename", "saved_as"),
    [
        ("report.bin", "report.bin"),
        ("annual report (2).bin", "annual report (2).bin"),
        ("a;b=c,d.bin", "a;b=c,d.bin"),
        ("100%.bin", "100%.bin"),
        ("a%22b%2F.bin", "a%22b%2F.bin"),
        ("it's.bin", "it's.bin"),
        ("café 日本.bin", "café 日本.bin"),
        ("\U0001f469\u200d\U0001f4bb.bin", "\U0001f469_\U0001f4bb.bin"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\report.bin", "report.bin"),
        ("a\r\nSet-Cookie: b=c\0\x1b.bin", "aSet-Cookie_ b=c.bin"),
        ("photo\u202enib.exe.bin", "photonib.exe.bin"),
        ("a" * 300 + ".bin", "a" * 236 + ".bin"),
        ("CON.bin", "_CON.bin"),
        ("a.bin. . .", "a.bin"),
        # These the browser itself replaces.
        ('a"b.bin', "a_b.bin"),
        ("a:b?c*d<e>f|g.bin", "a_b_c_d_e_f_g.bin"),
        (".hidden.bin", "hidden.bin"),
    ],
)
def test_a_file_is_saved_under_its_name(
    browser: Chrome, downloads: Path, origin: str, filename: str, saved_as: str
) -> None:
    browser.get(f"{origin}/?filename={quote(filename)}")
    WebDriverWait(browser, SECONDS, 0.05).until(lambda _: saved(downloads))
    assert saved(downloads) == [saved_as]
    assert downloads.joinpath(saved_as).read_bytes() == DATA


def saved(downloads: Path) -> list[str]:
    """The files that are whole."""
    return [
        file.name
        for file in downloads.iterdir()
        if file.suffix != ".crdownload" and file.stat().st_size == len(DATA)
    ]


def test_an_inline_download_is_shown_and_not_saved(
    browser: Chrome, downloads: Path, origin: str
) -> None:
    browser.get(f"{origin}/?filename=notes.txt&inline=yes&text=to+be+read")
    assert browser.find_element(By.TAG_NAME, "body").text == "to be read"
    assert not [*downloads.iterdir()]


def test_an_inline_download_is_not_taken_for_something_else(browser: Chrome, origin: str) -> None:
    browser.get(f"{origin}/?filename=notes.txt&inline=yes&text=<b>to be read</b>")
    assert browser.find_element(By.TAG_NAME, "body").text == "<b>to be read</b>"
