"""The same responses as the usual ways, by streamkit."""

from collections.abc import Iterable
from typing import Any

from streamkit import ServerSentEvent
from streamkit_adapters import asgi, wsgi

from .workload import asynchronous


def asgi_export_async(elements: Iterable[Any]) -> asgi.StreamingResponse:
    return asgi.StreamingService.export("elements", asynchronous(elements), "ndjson")


def asgi_export_sync(elements: Iterable[Any]) -> asgi.StreamingResponse:
    return asgi.StreamingService.export("elements", elements, "ndjson")


def wsgi_export_async(elements: Iterable[Any]) -> wsgi.StreamingResponse:
    return wsgi.StreamingService.export("elements", asynchronous(elements), "ndjson")


def wsgi_export_sync(elements: Iterable[Any]) -> wsgi.StreamingResponse:
    return wsgi.StreamingService.export("elements", elements, "ndjson")


def asgi_sse_async(ticks: Iterable[Any]) -> asgi.StreamingResponse:
    return asgi.StreamingService.sse("ticks", asynchronous(ticks), _event)


def asgi_sse_sync(ticks: Iterable[Any]) -> asgi.StreamingResponse:
    return asgi.StreamingService.sse("ticks", ticks, _event)


def _event(tick: Any) -> ServerSentEvent:
    return ServerSentEvent(data=tick, event="tick", id=str(tick["seq"]))
