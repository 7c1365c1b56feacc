"""Exports under Django: compressed with the middleware of the kit, and by one of two at most."""

import zlib
from typing import Any

import pytest
from combinations import AsyncSource, SyncSource
from django_site.clients import ASGIClient, WSGIClient
from django_site.urls import site

from streamkit_adapters.django import StreamingService

STREAMKIT = "streamkit_adapters.django.StreamkitMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
PLAIN = b"".join(b"%d\n" % number for number in range(9999))


@pytest.mark.parametrize("client_class", [WSGIClient, ASGIClient])
@pytest.mark.parametrize("source_class", [SyncSource, AsyncSource])
class TestExports:
    def answer(
        self, client_class: Any, source_class: Any, accept_encoding: str, *middleware: str
    ) -> Any:
        source = source_class(range(9999))
        with site(lambda _: StreamingService.export("e", source, "ndjson"), *middleware):
            client = client_class(headers={"Accept-Encoding": accept_encoding})
            client.rest()
        return client

    @pytest.mark.parametrize("middleware", [[STREAMKIT], [STREAMKIT, GZIP], [GZIP, STREAMKIT]])
    def test_an_export_is_compressed_once(
        self, client_class: Any, source_class: Any, middleware: list[str]
    ) -> None:
        client = self.answer(client_class, source_class, "gzip", *middleware)
        assert client.headers["Content-Encoding"] == "gzip"
        assert client.headers["Vary"] == "Accept-Encoding"
        assert zlib.decompress(client.body, wbits=31) == PLAIN

    @pytest.mark.parametrize(
        "middleware", [[STREAMKIT], [STREAMKIT, GZIP], [GZIP, STREAMKIT], [GZIP]]
    )
    def test_a_workbook_is_compressed_by_itself_alone(
        self, client_class: Any, source_class: Any, middleware: list[str]
    ) -> None:
        source = source_class({"n": n} for n in range(9999))
        with site(lambda _: StreamingService.export("e", source, "xlsx"), *middleware):
            client = client_class(headers={"Accept-Encoding": "gzip"})
            client.rest()
        assert "Content-Encoding" not in client.headers
        assert client.body.startswith(b"PK")

    def test_a_client_that_accepts_no_coding_gets_none(
        self, client_class: Any, source_class: Any
    ) -> None:
        client = self.answer(client_class, source_class, "identity", STREAMKIT)
        assert "Content-Encoding" not in client.headers
        assert client.headers["Vary"] == "Accept-Encoding"
        assert client.body == PLAIN

    def test_without_the_middleware_compression_is_left_to_others(
        self, client_class: Any, source_class: Any
    ) -> None:
        client = self.answer(client_class, source_class, "gzip")
        assert "Content-Encoding" not in client.headers
        assert client.body == PLAIN
