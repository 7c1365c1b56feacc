"""Streams of every kind, and the figures of the process that has them.

The path of a request is its kind: ``/sse``, ``/export`` or ``/download``. The query says ``source``
(sync or async), ``count`` (how many elements), ``rate`` (how many a second, at most), ``seconds``
(for how long), ``width`` (characters of an event) and ``fails`` (to raise after them). What it has
done with its sources, and what the metrics say of them, tells ``/figures``.
"""

import asyncio
import gc
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import psutil
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from prometheus_client import REGISTRY
from servers.state import Account

from streamkit import kind
from streamkit.stream import chunks

if heartbeat := os.environ.get("TEST_HEARTBEAT"):
    kind.SSE = replace(kind.SSE, heartbeat=float(heartbeat))

if stall := os.environ.get("TEST_MAX_STALL"):
    # Before an adapter is imported, which takes it from there.
    chunks.MAX_STALL = chunks.MAX_REST = float(stall)  # type: ignore[misc]

from streamkit_adapters import asgi, wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAUSE = 0.01

accounts: list[Account] = []
loops: set[asyncio.AbstractEventLoop] = set()


class Source:
    """Elements, none before its time, and an account of them."""

    def __init__(self, elements: Iterable[Any], rate: float, seconds: float) -> None:
        self._elements = elements
        self._rate = rate
        self._seconds = seconds
        self._account = Account()
        accounts.append(self._account)

    def _read(self) -> Iterator[Any]:
        """An element, or None if it is too early for one."""
        account = self._account
        account.begun += 1
        started_at = time.monotonic()
        try:
            for element in self._elements:
                while account.given >= (time.monotonic() - started_at) * self._rate:
                    yield None
                if time.monotonic() > started_at + self._seconds:
                    break
                account.given += 1
                yield element
        finally:
            account.ended += 1


class SyncSource(Source):
    def __iter__(self) -> Iterator[Any]:
        for element in self._read():
            if element is None:
                time.sleep(PAUSE)
            else:
                yield element

    def close(self) -> None:
        self._account.closed += 1


class AsyncSource(Source):
    async def __aiter__(self) -> AsyncIterator[Any]:
        loops.add(asyncio.get_running_loop())
        reading = self._read()
        try:
            for element in reading:
                if element is None:
                    await asyncio.sleep(PAUSE)
                else:
                    yield element
        finally:
            reading.close()  # type: ignore[attr-defined]

    async def aclose(self) -> None:
        self._account.closed += 1


def elements(kind: str, query: Mapping[str, str]) -> Iterator[Any]:
    width = int(query.get("width", 0))
    for n in range(int(query["count"])) if "count" in query else count():
        if kind == "/sse":
            yield f"{n}".ljust(width, ".")
        else:
            yield bytes(64 * 1024) if kind == "/download" else {"n": n}
    if "fails" in query:
        raise RuntimeError("the source failed")


def answer(service: Any, path: str, query: Mapping[str, str]) -> Any:
    make = AsyncSource if query["source"] == "async" else SyncSource
    source = make(
        elements(path, query), float(query.get("rate", "inf")), float(query.get("seconds", "inf"))
    )
    match path:
        case "/sse":
            return service.sse("soak", source)
        case "/export":
            return service.export("soak", source, "ndjson")
    return service.download(source, filename="soak", name="soak")


def figures() -> bytes:
    gc.collect()
    totals: dict[str, float] = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name.startswith("stream_") and not sample.name.endswith("_created"):
                name = sample.name.removeprefix("stream_").removesuffix("_total")
                name = sample.labels.get("outcome", name)
                totals[name] = totals.get(name, 0) + sample.value
    process = psutil.Process()
    return json.dumps(
        {
            "pid": os.getpid(),
            "totals": totals,
            "memory": process.memory_info().rss,
            "descriptors": process.num_fds(),
            "threads": sum(each.name.startswith("streamkit") for each in threading.enumerate()),
            "tasks": sum(len(asyncio.all_tasks(loop)) for loop in loops),
            "accounts": [*map(asdict, accounts)],
        }
    ).encode()


def _wsgi(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/figures":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [figures()]
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    response: wsgi.StreamingResponse = answer(wsgi.StreamingService, environ["PATH_INFO"], query)
    return response(environ, start_response)


async def _asgi(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    assert scope["type"] == "http"
    if scope["path"] == "/figures":
        head: Any = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
        }
        await send(head)
        await send({"type": "http.response.body", "body": figures(), "more_body": False})
        return
    query = dict(parse_qsl(scope["query_string"].decode()))
    response: asgi.StreamingResponse = answer(asgi.StreamingService, scope["path"], query)
    await response(scope, receive, send)


wsgi_app = wsgi.StreamkitMiddleware(_wsgi)
asgi_app = asgi.StreamkitMiddleware(_asgi)
