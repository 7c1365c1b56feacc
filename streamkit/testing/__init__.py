"""A test kit: clients that drive a response in process, without a server.

``with connect(app, "/ticks") as client`` is for sync tests, ``async with aconnect(...)`` for async
ones; the app may be replaced by the response alone, and both may be WSGI, ASGI, or Django's. The
source may be sync or async either way. Nothing has to be installed or configured for it.

It differs from a server in that it reads nothing ahead. A client that does not read is a slow one:
once 64 events are waiting, the oldest are dropped after a tenth of a second.
"""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any

from streamkit.testing.client import TIMEOUT, AsyncClient, Client
from streamkit.testing.exchange import Exchange
from streamkit.testing.server import async_server_of, server_of
from streamkit.testing.sse_decoder import Event, SSEDecoder

__all__ = ["TIMEOUT", "AsyncClient", "Client", "Event", "SSEDecoder", "aconnect", "connect"]

Target = Callable[..., Any] | Iterable[bytes] | AsyncIterable[bytes]
"""A WSGI or ASGI application, or a response."""


def connect(target: Target, path: str = "/", *, headers: Mapping[str, str] = {}) -> Client:
    """A client of ``target`` that sends GET for ``path``, which may have a query, with ``headers``.

    It is a context manager: it connects at the start of the ``with`` block, waits for the head and
    the first chunk (of a silent live stream a heartbeat, after a tenth of a second), and
    disconnects at the end. An ASGI app runs on the background loop of the process, everything else
    on the thread of the test.

    Raises TypeError if ``target`` is no application and no response.
    """
    exchange = Exchange(path, headers)
    return Client(server_of(target, exchange), exchange)


def aconnect(target: Target, path: str = "/", *, headers: Mapping[str, str] = {}) -> AsyncClient:
    """``connect`` for ``async with``. A WSGI app runs on a thread, all else on the running loop."""
    exchange = Exchange(path, headers)
    return AsyncClient(async_server_of(target, exchange), exchange)
