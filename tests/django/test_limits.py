"""What is let in, and what a live stream is told and tells, in both of Django's handlers."""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import asgi_client
import pytest
from combinations import value, wait_until
from django import VERSION
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.test import override_settings
from django_site.clients import ASGIClient, WSGIClient
from django_site.middleware import put_around
from django_site.urls import site
from limits.suite import AsyncSuite, Suite, View
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import signals
from streamkit_adapters.django import StreamingService

STREAMKIT = "streamkit_adapters.django.StreamkitMiddleware"


def acme(request: HttpRequest) -> str:
    return "acme"


@contextmanager
def serve(
    handler: type[Any],
    view: View,
    *,
    max_streams: int | None = None,
    tenant: str | None = None,
    nested: bool = False,
) -> Iterator[Callable[..., Any]]:
    options = {"MAX_STREAMS": max_streams, "TENANT": tenant and f"{__name__}.{tenant}"}
    with (
        override_settings(STREAMKIT=options),
        site(lambda request: view(StreamingService), *[STREAMKIT] * (1 + nested)),
    ):
        yield handler()


class TestWSGI(Suite):
    is_async = False

    def serve(self, view: View, **options: Any) -> Any:
        return serve(WSGIHandler, view, **options)

    def wrap(self, response: Any) -> Any:
        response.streaming_content = map(bytes, response.streaming_content)
        return response


class TestASGI(AsyncSuite):
    # Django's handler does not close the file of the request's body after what is no Exception,
    # which is a warning in whatever test comes next.
    test_nothing_is_lost_where_a_source_exits_before_its_first_element = None

    def serve(self, view: View, **options: Any) -> Any:
        return serve(ASGIHandler, view, **options)

    async def call(self, app: Any, client: asgi_client.Client) -> None:
        try:
            await super().call(app, client)
        except asyncio.CancelledError:
            # From 6.1 on the handler sends in the task of the server's.
            assert VERSION >= (6,)
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()


def sync_around(get_response: Any) -> Any:
    """A middleware that has a look at what is streamed, whatever the protocol."""
    return put_around(get_response, lambda response: read)


def async_around(get_response: Any) -> Any:
    return put_around(get_response, lambda response: read_async)


def read(content: Iterable[bytes]) -> Iterator[bytes]:
    yield from content


async def read_async(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for chunk in content:
        yield chunk


@pytest.mark.parametrize("client_class", [WSGIClient, ASGIClient])
@pytest.mark.parametrize("middleware", [sync_around, async_around])
def test_a_stream_that_other_middleware_reads_ends_in_good_order(
    client_class: Any, middleware: Callable[..., Any], registry: CollectorRegistry
) -> None:
    view: Any = lambda request: StreamingService.sse("s", repeat("event"))  # noqa: E731
    try:
        with site(view, STREAMKIT, f"{__name__}.{middleware.__name__}"):
            client = client_class()
            client.until(lambda body: b"event" in body)
            streamkit.shutdown()
            body = client.rest()
    finally:
        signals._forget()
    assert re.search(rb"retry: \d+\n\n\Z", body)
    wait_until(lambda: value(registry, "stream_closed_total", outcome="retired") == 1)
    assert value(registry, "stream_closed_total") == 1
