"""What is true of the metrics in every adapter."""

import gzip
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import pytest
from downloads.clients import Answer, ask_asgi, ask_wsgi
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.datastructures import Headers

import streamkit
from streamkit import StreamingService

__all__ = ["Suite"]

# What Prometheus 2 and 3 send, but for its versions of the same.
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

ELEMENTS = "stream_elements_total"
LABELS = {"kind": "export", "stream": "rows", "tenant": "system"}


class Suite(ABC):
    is_async = False

    @abstractmethod
    def serve(self) -> AbstractContextManager[Any]:
        """An application that has the adapter's ``metrics`` at ``/``."""

    def ask(self, method: str = "GET", **headers: str) -> Answer:
        ask = ask_asgi if self.is_async else ask_wsgi
        request = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
        with self.serve() as app:
            return ask(app, method, request, sends_files=False)

    @pytest.fixture(autouse=True)
    def _stream(self, registry: CollectorRegistry) -> None:
        assert b"".join(StreamingService.export("rows", [1, 2], "ndjson")) == b"1\n2\n"

    def test_prometheus_finds_the_metrics(self) -> None:
        answer = self.ask()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert answer.headers["Cache-Control"] == "no-store"
        families = text_string_to_metric_families(answer.body.decode())
        samples = [sample for family in families for sample in family.samples]
        [elements] = [sample for sample in samples if sample.name == ELEMENTS]
        assert (elements.labels, elements.value) == (LABELS, 2)

    def test_it_gets_openmetrics_if_it_asks_for_that(self) -> None:
        answer = self.ask(Accept=OPENMETRICS)
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=")
        families = openmetrics_families(answer.body.decode())  # type: ignore[no-untyped-call]
        assert "stream_elements" in {family.name for family in families}

    def test_it_gets_them_compressed_if_it_asks_for_that(self) -> None:
        answer = self.ask(Accept_Encoding="gzip")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert ELEMENTS in gzip.decompress(answer.body).decode()
        assert "Content-Encoding" not in self.ask().headers

    def test_head_is_answered_without_a_body(self) -> None:
        answer = self.ask("HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Type"] == self.ask().headers["Content-Type"]

    def test_no_other_method_is_allowed(self) -> None:
        answer = self.ask("POST")
        assert answer.status == 405
        assert {"GET", "HEAD"} <= {*answer.headers["Allow"].split(", ")}

    def test_there_are_none_where_they_are_turned_off(self) -> None:
        streamkit.metrics.use(None)
        assert (self.ask().status, self.ask().body) == (200, b"")
