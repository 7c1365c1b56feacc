"""The same three event streams, made by streamkit and by what is used today.

``/live`` has an event each second, ``/burst`` many at once, and ``/failing`` a source that raises
before its first event. Each as its own documentation shows it, with nothing configured.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import fastapi.sse
import flask
import sse_starlette
from fastapi import FastAPI
from flask import Flask

import streamkit_adapters.fastapi
import streamkit_adapters.flask

__all__ = [
    "BURST",
    "EVENT",
    "fastapis_own",
    "flasks_own",
    "on_fastapi",
    "on_flask",
    "sse_starlettes",
]

BURST: Final = 10_000
"""Events that a source has ready at once."""

EVENT: Final = "x" * 1000
"""Of a burst: some 10 MB together, more than the kernel takes for a client that does not read."""


async def live() -> AsyncIterator[str]:
    for number in itertools.count():
        yield f"{number}"
        await asyncio.sleep(1)


async def burst() -> AsyncIterator[str]:
    for _ in range(BURST):
        yield EVENT


async def failing() -> AsyncIterator[str]:
    raise LookupError("before the first event")
    yield ""


def sync_live() -> Iterator[str]:
    for number in itertools.count():
        yield f"{number}"
        time.sleep(1)


def sync_burst() -> Iterator[str]:
    for _ in range(BURST):
        yield EVENT


def sync_failing() -> Iterator[str]:
    raise LookupError("before the first event")
    yield ""


SOURCES: Final = {"live": live, "burst": burst, "failing": failing}
SYNC_SOURCES: Final = {"live": sync_live, "burst": sync_burst, "failing": sync_failing}

on_fastapi = FastAPI()
on_fastapi.add_middleware(streamkit_adapters.fastapi.StreamkitMiddleware)


@on_fastapi.get("/{name}", response_class=streamkit_adapters.fastapi.EventStream)
async def streamkit_events(name: str) -> Any:
    return streamkit_adapters.fastapi.StreamingService.sse(name, SOURCES[name]())


sse_starlettes = FastAPI()


@sse_starlettes.get("/{name}", response_class=sse_starlette.EventSourceResponse)
async def sse_starlette_events(name: str) -> Any:
    return sse_starlette.EventSourceResponse(SOURCES[name]())


fastapis_own = FastAPI()


@fastapis_own.get("/{name}", response_class=fastapi.sse.EventSourceResponse)
async def fastapi_events(name: str):  # type: ignore[no-untyped-def]
    async for event in SOURCES[name]():
        yield fastapi.sse.ServerSentEvent(raw_data=event)


on_flask = Flask("on_flask")
streamkit_adapters.flask.StreamkitMiddleware(on_flask)


@on_flask.get("/<name>")
def streamkit_flask_events(name: str) -> flask.Response:
    return streamkit_adapters.flask.StreamingService.sse(name, SYNC_SOURCES[name]())


flasks_own = Flask("flasks_own")


@flasks_own.get("/<name>")
def flask_events(name: str) -> flask.Response:
    events = (f"data: {event}\n\n" for event in SYNC_SOURCES[name]())
    return flask.Response(flask.stream_with_context(events), mimetype="text/event-stream")
