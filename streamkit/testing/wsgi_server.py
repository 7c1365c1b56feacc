"""A server of PEP 3333 with one request, in process."""

import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from streamkit.testing.exchange import Exchange

__all__ = ["WSGIServer"]


class WSGIServer:
    """PEP 3333, on the thread that asks."""

    def __init__(self, app: Callable[..., Any], exchange: Exchange) -> None:
        self._app = app
        self._exchange = exchange
        self._body: Any = None
        self._chunks: Iterator[bytes] | None = None
        self._written: list[bytes] = []

    def next(self, deadline: float) -> bytes | None:
        self._exchange.return_by(deadline)
        return self._exchange.context.run(self._next, deadline)

    def _next(self, deadline: float) -> bytes | None:
        if self._chunks is None:
            self._body = self._app(self._exchange.request.get_environ(), self._start_response)
            self._chunks = chain(self._written, self._body)
        for chunk in self._chunks:
            if chunk or time.monotonic() >= deadline:
                return chunk
        return None

    def _start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self._exchange.begin(int(status.split()[0]), headers)
        return self._written.append

    def beat(self) -> None:
        self._exchange.beat()

    def leave(self) -> None:
        if hasattr(self._body, "close"):
            self._exchange.context.run(self._body.close)
