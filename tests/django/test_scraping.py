"""Django's view for Prometheus, in both of its handlers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django_site.urls import site
from scraping.suite import Suite

from streamkit_adapters.django import metrics


class TestWSGI(Suite):
    @contextmanager
    def serve(self) -> Iterator[Any]:
        with site(metrics):
            yield WSGIHandler()


class TestASGI(Suite):
    is_async = True

    @contextmanager
    def serve(self) -> Iterator[Any]:
        with site(metrics):
            yield ASGIHandler()
