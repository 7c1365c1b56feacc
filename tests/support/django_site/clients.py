"""A client of each of Django's two handlers, who reads step by step and may leave."""

import asyncio
from collections.abc import Callable, Sized
from functools import partial
from typing import Any
from wsgiref.validate import validator

import asgi_client
from combinations import WAIT
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

__all__ = ["ASGIClient", "WSGIClient"]


class WSGIClient:
    """It reads through the checker of PEP 3333."""

    status: int
    headers: Headers

    def __init__(
        self,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        environ: dict[str, Any] | None = None,
    ) -> None:
        self.body = b""
        request = EnvironBuilder(method=method, headers=Headers(headers), environ_overrides=environ)
        self._app_iter: Any = validator(WSGIHandler())(request.get_environ(), self._start_response)
        self._chunks = iter(self._app_iter)

    def _start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        self.headers = Headers(headers)

    def until(self, arrived: Callable[[bytes], bool]) -> None:
        """Read on until the body is as it should be, and no further."""
        while not arrived(self.body):
            self.body += next(self._chunks)

    def rest(self) -> bytes:
        """The whole body. Raises what breaks it off."""
        try:
            for chunk in self._chunks:
                self.body += chunk
        finally:
            self._app_iter.close()
        return self.body

    def leave(self) -> None:
        self._app_iter.close()


class ASGIClient:
    """It takes an event at a time, so that nothing is sent before it is asked for."""

    def __init__(self, method: str = "GET", headers: dict[str, str] | None = None) -> None:
        raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        self._client = asgi_client.Client(self._wait_for_reader)
        self._wanted = asyncio.Semaphore(0)
        self._hurries = False
        self._runner = asyncio.Runner()
        self._runner.run(self._start(asgi_client.scope(method, headers=raw)))

    async def _start(self, scope: Any) -> None:
        handler: Any = ASGIHandler()
        self._task = asyncio.create_task(handler(scope, self._client.receive, self._client.send))

    async def _wait_for_reader(self, event: Any) -> None:
        if not self._hurries:
            await self._wanted.acquire()

    @property
    def status(self) -> Any:
        return self._client.status

    @property
    def headers(self) -> Headers:
        return self._client.headers

    @property
    def body(self) -> bytes:
        return self._client.body

    def until(self, arrived: Callable[[bytes], bool]) -> None:
        async def until() -> None:
            sent = self._client.sent
            while not sent or not arrived(self.body):
                self._wanted.release()
                await self._client.until(partial(_grows, sent, len(sent)))

        self._runner.run(until())

    def run(self, call: Callable[[], Any]) -> None:
        """Let the handler run while a thread calls what it waits for."""
        self._runner.run(asyncio.to_thread(call))

    def rest(self) -> bytes:
        self._hurries = True
        self._wanted.release()
        self._finish()
        return self.body

    def leave(self) -> None:
        self._client.gone.set()
        self._finish()

    def _finish(self) -> None:
        async def finish() -> None:
            try:
                async with asyncio.timeout(WAIT):
                    await self._task
            finally:
                assert asyncio.all_tasks() == {asyncio.current_task()}

        try:
            self._runner.run(finish())
        finally:
            self._runner.close()


def _grows(sized: Sized, size: int) -> bool:
    return len(sized) > size
