"""Code as users write it, for the type checkers: run by mypy and pyright, not by pytest."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import assert_type

import streamkit
from streamkit import RequestContext, ServerSentEvent, StreamingService, StreamResponse
from streamkit_adapters import asgi, wsgi


@dataclass
class Tick:
    price: float
    number: int


def ticks() -> Iterator[Tick]:
    yield Tick(1.5, 1)


async def async_ticks() -> AsyncIterator[Tick]:
    yield Tick(1.5, 1)


def event(tick: Tick) -> ServerSentEvent:
    return ServerSentEvent(data=str(tick.price), event="tick", id=str(tick.number))


assert_type(StreamingService.sse("ticks", ticks(), event), StreamResponse)
assert_type(
    StreamingService.sse("ticks", async_ticks(), lambda tick: f"{tick.price}"), StreamResponse
)
assert_type(wsgi.StreamingService.export("ticks", ticks(), "csv"), wsgi.StreamingResponse)
assert_type(asgi.StreamingService.export("ticks", async_ticks(), "json"), asgi.StreamingResponse)
assert_type(
    asgi.StreamingService.download(iter([b"a", b"b"]), filename="f", size=2),
    asgi.StreamingResponse,
)
StreamingService.sse("inline", streamkit.inline(ticks()), event)
assert_type(streamkit.context.get(), RequestContext)
assert_type(streamkit.context.get().last_event_id, str | None)

StreamingService.export("ticks", ticks(), "xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
StreamingService.sse("ticks", 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
StreamingService.download([b""], filename=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
StreamingService.sse("ticks", ticks(), lambda tick: tick.cost)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
