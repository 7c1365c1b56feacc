"""Downloads as HTTP resources, from both of Django's handlers."""

import gzip
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django import VERSION
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django_site.urls import site
from downloads.clients import Answer, ask_asgi, ask_wsgi
from downloads.suite import Suite, View
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit_adapters.django import StreamingService

STREAMKIT = "streamkit_adapters.django.StreamkitMiddleware"


class TestWSGI(Suite):
    sent_by_server = frozenset({"path", "str", "open file", "raw file", "begun file"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        with site(lambda request: view(StreamingService), STREAMKIT):
            return ask_wsgi(WSGIHandler(), method, headers, sends_files=sends_files)


class TestASGI(Suite):
    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        with site(lambda request: view(StreamingService), STREAMKIT):
            return ask_asgi(ASGIHandler(), method, headers, sends_files=sends_files)


CLIENTS = pytest.mark.parametrize("client", ["wsgi", "asgi"])
GZIP = "django.middleware.gzip.GZipMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"

DATA = b"to be compressed " * 1000


def ask(
    client: str, path: Path, *middleware: str, sends_files: bool = True, **headers: str
) -> Answer:
    request = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    with site(lambda _: StreamingService.download(path, filename="data.txt"), *middleware):
        if client == "wsgi":
            return ask_wsgi(WSGIHandler(), "GET", request, sends_files=sends_files)
        return ask_asgi(ASGIHandler(), "GET", request, sends_files=sends_files)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_bytes(DATA)
    return path


def decoded(answer: Answer) -> bytes:
    if answer.headers.get("Content-Encoding") != "gzip":
        return answer.body
    # What is compressed is another representation.
    assert answer.headers["ETag"].startswith("W/")
    assert "Accept-Ranges" not in answer.headers
    assert not answer.sent_by_server
    return gzip.decompress(answer.body)


@CLIENTS
class TestMiddleware:
    def test_gzip_around_the_kits_middleware_leaves_parts_alone(
        self, client: str, path: Path
    ) -> None:
        """It compresses the whole, and leaves parts alone."""
        ask_it = partial(ask, client, path, GZIP, STREAMKIT, Accept_Encoding="gzip")
        whole = ask_it()
        assert decoded(whole) == DATA
        assert (whole.headers.get("Content-Encoding") == "gzip") == (
            client == "wsgi" or VERSION >= (6,)
        )
        for value, body in (("bytes=10-2009", DATA[10:2010]), ("bytes=0-", DATA)):
            part = ask_it(Range=value)
            assert (part.status, part.body) == (206, body)
            assert "Content-Encoding" not in part.headers
        assert ask_it(If_None_Match=whole.headers["ETag"]).status == 304

    def test_gzip_makes_no_body_of_an_answer_without_one(self, client: str, path: Path) -> None:
        ask_it = partial(ask, client, path, GZIP, STREAMKIT, Accept_Encoding="gzip")
        answers = {
            304: ask_it(If_None_Match=ask_it().headers["ETag"]),
            412: ask_it(If_Match='"other"'),
            416: ask_it(Range=f"bytes={len(DATA)}-"),
        }
        for status, answer in answers.items():
            assert (answer.status, answer.body) == (status, b"")
            assert "Content-Encoding" not in answer.headers

    def test_gzip_within_the_kits_middleware_has_no_parts(self, client: str, path: Path) -> None:
        """Then there are no parts."""
        answer = ask(client, path, STREAMKIT, GZIP, Accept_Encoding="gzip", Range="bytes=0-9")
        if client == "wsgi" or VERSION >= (6,):
            assert (answer.status, decoded(answer)) == (200, DATA)
            assert answer.headers["Content-Encoding"] == "gzip"
        else:
            assert (answer.status, answer.body) == (206, DATA[:10])
            assert "Content-Encoding" not in answer.headers

    @pytest.mark.parametrize("middleware", [(CONDITIONAL, STREAMKIT), (STREAMKIT, CONDITIONAL)])
    def test_conditions_are_answered_beside_djangos_own(
        self, client: str, path: Path, middleware: tuple[str, str]
    ) -> None:
        whole = ask(client, path, *middleware)
        assert (whole.status, whole.body) == (200, DATA)
        etag = whole.headers["ETag"]
        assert ask(client, path, *middleware, If_None_Match=etag).status == 304
        assert ask(client, path, *middleware, If_Match='"other"').status == 412
        part = ask(client, path, *middleware, Range="bytes=0-9", If_Range=etag)
        assert (part.status, part.body) == (206, DATA[:10])

    def test_without_the_kits_middleware_every_download_is_whole(
        self, client: str, path: Path
    ) -> None:
        answer = ask(client, path, Range="bytes=0-9", If_None_Match="*")
        assert (answer.status, answer.body, answer.sent_by_server) == (200, DATA, False)


@CLIENTS
@pytest.mark.parametrize("sends_files", [False, True])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}], ids=str)
def test_a_request_finishes_once(
    client: str,
    path: Path,
    headers: dict[str, str],
    sends_files: bool,
    registry: CollectorRegistry,
) -> None:
    """After the file was closed and counted, whoever sent it."""
    finished: list[float | None] = []

    def note(**named: Any) -> None:
        labels = {"kind": "download", "stream": "download", "tenant": "system"}
        finished.append(registry.get_sample_value("stream_bytes_total", labels))

    request_finished.connect(note)
    try:
        answer = ask(client, path, STREAMKIT, sends_files=sends_files, **headers)
    finally:
        request_finished.disconnect(note)
    assert finished == [len(answer.body)]
