"""The application that the servers of the table serve, once for each adapter.

The path of a request says what it wants, its query how much. ``name`` names the account of the
stream, ``source`` says whether its source is sync or async.
"""

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

import flask
import msgspec
from asgiref.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from prometheus_client import REGISTRY
from servers.state import Account, State

import streamkit_adapters.asgi
import streamkit_adapters.flask
import streamkit_adapters.wsgi
from streamkit import BaseStreamingService, kind

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

R = TypeVar("R")

if heartbeat := os.environ.get("TEST_HEARTBEAT"):
    kind.SSE = replace(kind.SSE, heartbeat=float(heartbeat))

accounts: dict[str, Account] = {}
mailboxes: dict[str, Callable[[str | None], object]] = {}
loops: set[asyncio.AbstractEventLoop] = set()


class SyncSource:
    """A generator, and an iterable around it that may be closed as well."""

    def __init__(self, account: Account, elements: Iterable[Any]) -> None:
        self._account = account
        self._elements = elements

    def __iter__(self) -> Iterator[Any]:
        account = self._account
        account.begun += 1
        try:
            for element in self._elements:
                account.given += 1
                yield element
        finally:
            account.ended += 1

    def close(self) -> None:
        self._account.closed += 1


class AsyncSource:
    """The same. It awaits nothing, unless its elements do."""

    def __init__(self, account: Account, elements: Iterable[Any] | AsyncIterator[Any]) -> None:
        self._account = account
        self._elements = elements

    async def __aiter__(self) -> AsyncIterator[Any]:
        loops.add(asyncio.get_running_loop())
        account = self._account
        account.begun += 1
        try:
            if isinstance(self._elements, AsyncIterator):
                async for element in self._elements:
                    account.given += 1
                    yield element
            else:
                for element in self._elements:
                    account.given += 1
                    yield element
        finally:
            account.ended += 1

    async def aclose(self) -> None:
        self._account.closed += 1


def letters(name: str) -> Iterator[str]:
    """What other requests tell a stream to send, until they tell it to end."""
    mailbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    mailboxes[name] = mailbox.put
    return iter(mailbox.get, None)


async def async_letters(name: str) -> AsyncIterator[str]:
    mailbox: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    mailboxes[name] = lambda text: loop.call_soon_threadsafe(mailbox.put_nowait, text)
    while (text := await mailbox.get()) is not None:
        yield text


class Query:
    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    def __getitem__(self, name: str) -> str:
        return self._parameters[name]

    def number(self, name: str) -> int | None:
        value = self._parameters.get(name)
        return None if value is None else int(value)

    def source(self, make: Callable[[int], Any]) -> SyncSource | AsyncSource:
        """``make`` of 0, 1, 2, ...: ``count`` of them, and then, if ``fails``, an exception.

        Without a ``count`` it never ends.
        """
        return self._source(map(make, self._numbers()))

    def letters(self) -> SyncSource | AsyncSource:
        is_async = self["source"] == "async"
        return self._source(async_letters(self["name"]) if is_async else letters(self["name"]))

    def _source(self, elements: Any) -> SyncSource | AsyncSource:
        account = accounts[self["name"]] = Account()
        return (AsyncSource if self["source"] == "async" else SyncSource)(account, elements)

    def _numbers(self) -> Iterator[int]:
        number = self.number("count")
        yield from count() if number is None else range(number)
        if self._parameters.get("fails"):
            raise RuntimeError("the source failed")


def answer(
    service: type[BaseStreamingService[R]], path: str, parameters: Mapping[str, str]
) -> R | dict[str, Any]:
    query = Query(parameters)
    match path:
        case "/sse":
            width = query.number("width") or 0
            return service.sse("events", query.source(lambda n: f"{n}".ljust(width, ".")))
        case "/letters":
            return service.sse("letters", query.letters())
        case "/export":
            rows = query.source(lambda n: {"n": n, "text": f"row {n}"})
            return service.export("rows", rows, query["format"])  # type: ignore[arg-type]
        case "/download":
            pieces = query.source(lambda n: n.to_bytes(8, "big") * (64 * 1024 // 8))
            return service.download(pieces, filename="pieces.bin", size=query.number("size"))
        case "/tell":
            mailbox = mailboxes.get(query["name"])
            if mailbox is not None:
                mailbox(parameters.get("text"))
            return {"told": mailbox is not None}
        case "/state":
            return asdict(state())
    raise LookupError(path)


def state() -> State:
    active = sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "stream_active"
    )
    return State(
        pid=os.getpid(),
        active=int(active),
        threads=[thread.name for thread in threading.enumerate()],
        tasks=sum(len(asyncio.all_tasks(loop)) for loop in loops),
        accounts=accounts,
    )


def asked(query_string: str) -> Account:
    """That of the stream which a request asked for; of none, if it asked for something else."""
    return accounts.get(dict(parse_qsl(query_string)).get("name", ""), Account())


def note_disconnect(account: Account) -> None:
    """The server tells that the client left."""
    if account.told is None:
        account.told = account.given


# WSGI, where a server tells by closing the body


class NotedBody:
    def __init__(self, body: Iterable[bytes], query_string: str) -> None:
        self._body = body
        self._query_string = query_string

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        note_disconnect(asked(self._query_string))
        if hasattr(self._body, "close"):
            self._body.close()


def noting_wsgi(app: "WSGIApplication") -> "WSGIApplication":
    def noting(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return NotedBody(app(environ, start_response), environ["QUERY_STRING"])

    return noting


def plain_wsgi(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    response = answer(
        streamkit_adapters.wsgi.StreamingService,
        environ["PATH_INFO"],
        dict(parse_qsl(environ["QUERY_STRING"])),
    )
    if not isinstance(response, dict):
        return response(environ, start_response)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [msgspec.json.encode(response)]


wsgi_app = noting_wsgi(streamkit_adapters.wsgi.StreamkitMiddleware(plain_wsgi))


# Flask

flask_app = flask.Flask(__name__)
streamkit_adapters.flask.StreamkitMiddleware(flask_app)
flask_app.wsgi_app = noting_wsgi(flask_app.wsgi_app)  # type: ignore[assignment,method-assign]


@flask_app.get("/<path:path>")
def view(path: str) -> flask.Response | dict[str, Any]:
    return answer(streamkit_adapters.flask.StreamingService, f"/{path}", flask.request.args)


# ASGI, where a server tells by an event


async def asgi_app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    assert scope["type"] == "http"
    query_string = scope["query_string"].decode()
    burst = 0

    async def noting_receive() -> ASGIReceiveEvent:
        event = await receive()
        if event["type"] == "http.disconnect":
            note_disconnect(asked(query_string))
        return event

    async def noting_send(event: ASGISendEvent) -> None:
        nonlocal burst
        if not burst:
            asyncio.get_running_loop().call_soon(turn)
        burst += 1
        await send(event)

    def turn() -> None:
        nonlocal burst
        account = asked(query_string)
        account.burst = max(account.burst, burst)
        burst = 0

    await streamkit_adapters.asgi.StreamkitMiddleware(plain_asgi)(
        scope, noting_receive, noting_send
    )


async def plain_asgi(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    assert scope["type"] == "http"
    loops.add(asyncio.get_running_loop())
    response = answer(
        streamkit_adapters.asgi.StreamingService,
        scope["path"],
        dict(parse_qsl(scope["query_string"].decode())),
    )
    if not isinstance(response, dict):
        await response(scope, receive, send)
        return
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
            "trailers": False,
        }
    )
    body = msgspec.json.encode(response)
    await send({"type": "http.response.body", "body": body, "more_body": False})
