"""The usual ways to stream: each element is handed over, encoded and sent by itself."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import asgiref.sync
import sse_starlette
import starlette.responses

from .workload import AsyncElements, asynchronous, encode, encode_line

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
WsgiApp = Callable[[Any, Any], Iterable[bytes]]

CONTENT_TYPE = "application/x-ndjson"

HELD = 128
"""Elements that a queue holds, as many as streamkit's buffer of an export."""

_END: Any = object()


def _asgi(lines: AsyncIterator[bytes]) -> AsgiApp:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", CONTENT_TYPE.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for line in lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def _wsgi(lines: Iterator[bytes]) -> WsgiApp:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return lines

    return app


def await_send(elements: Iterable[Any]) -> AsgiApp:
    async def lines() -> AsyncIterator[bytes]:
        async for element in asynchronous(elements):
            yield encode_line(element)

    return _asgi(lines())


def asyncio_queue(elements: Iterable[Any]) -> AsgiApp:
    async def lines() -> AsyncIterator[bytes]:
        waiting: asyncio.Queue[Any] = asyncio.Queue(HELD)

        async def produce() -> None:
            async for element in asynchronous(elements):
                await waiting.put(element)
            await waiting.put(_END)

        producer = asyncio.create_task(produce())
        while (element := await waiting.get()) is not _END:
            yield encode_line(element)
        await producer

    return _asgi(lines())


def iterate_in_threadpool(elements: Iterable[Any]) -> AsgiApp:
    """What Starlette does with a sync iterable."""
    return starlette.responses.StreamingResponse(
        map(encode_line, elements), media_type=CONTENT_TYPE
    )


def event_source_async(elements: Iterable[Any]) -> AsgiApp:
    return sse_starlette.EventSourceResponse(_event(tick) async for tick in asynchronous(elements))


def event_source_sync(elements: Iterable[Any]) -> AsgiApp:
    return sse_starlette.EventSourceResponse(map(_event, elements))


def _event(tick: Any) -> sse_starlette.ServerSentEvent:
    return sse_starlette.ServerSentEvent(
        data=encode(tick).decode(), event="tick", id=str(tick["seq"])
    )


def generator(elements: Iterable[Any]) -> WsgiApp:
    return _wsgi(encode_line(element) for element in elements)


def thread_queue(elements: Iterable[Any]) -> WsgiApp:
    def lines() -> Iterator[bytes]:
        waiting: queue.Queue[Any] = queue.Queue(HELD)

        def produce() -> None:
            for element in elements:
                waiting.put(element)
            waiting.put(_END)

        producer = threading.Thread(target=produce)
        producer.start()
        while (element := waiting.get()) is not _END:
            yield encode_line(element)
        producer.join()

    return _wsgi(lines())


def async_to_sync(elements: Iterable[Any]) -> WsgiApp:
    def lines() -> Iterator[bytes]:
        # No generator: each call has a loop of its own, whose end would close it.
        source = AsyncElements(elements)

        async def step() -> Any:
            return await anext(source, _END)

        advance = asgiref.sync.async_to_sync(step)
        while (element := advance()) is not _END:
            yield encode_line(element)

    return _wsgi(lines())


def run_coroutine_threadsafe(elements: Iterable[Any]) -> WsgiApp:
    def lines() -> Iterator[bytes]:
        source = asynchronous(elements)

        async def step() -> Any:
            return await anext(source, _END)

        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        while (element := asyncio.run_coroutine_threadsafe(step(), loop).result()) is not _END:
            yield encode_line(element)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    return _wsgi(lines())
