"""The plain WSGI application for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scraping.suite import Suite

from streamkit_adapters import wsgi


class TestWSGI(Suite):
    @contextmanager
    def serve(self) -> Iterator[Any]:
        yield wsgi.metrics
