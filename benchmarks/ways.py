"""The adapters against the usual ways to stream.

In process, where what is sent goes nowhere and a chunk costs next to nothing; and over real
servers.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from . import ours, usual
from .measure import Run, print_table, rates
from .server import UVICORN, WAITRESS, read_all, run_uvicorn, run_waitress, serving
from .workload import ELEMENTS

__all__ = ["main"]

Way = Callable[[Iterable[Any]], Any]
"""Makes an ASGI or WSGI application that answers one request with the elements."""

Read = Callable[[str, int], None]
"""Reads what answers a path, with so many elements in it, to its end."""

OUR_ELEMENTS: Final = 100_000
"""How many elements a run of streamkit streams."""


class Case(NamedTuple):
    source: str
    protocol: str
    ours: Way
    usual: Way
    usual_elements: int
    """How many elements a run of the usual way streams: rates are compared, not totals."""
    expected: float | None = None
    """How many times as fast ours is to be."""


EXPORTS: Final = (
    Case("async", "ASGI", ours.asgi_export_async, usual.await_send, 20_000, 5),
    Case("async", "ASGI", ours.asgi_export_async, usual.asyncio_queue, 20_000, 5),
    Case("sync", "ASGI", ours.asgi_export_sync, usual.iterate_in_threadpool, 2_000, 40),
    Case("sync", "WSGI", ours.wsgi_export_sync, usual.generator, 20_000, 3.5),
    Case("sync", "WSGI", ours.wsgi_export_sync, usual.thread_queue, 10_000, 3.5),
    Case("async", "WSGI", ours.wsgi_export_async, usual.async_to_sync, 200, 100),
    Case("async", "WSGI", ours.wsgi_export_async, usual.run_coroutine_threadsafe, 2_000),
)

EVENTS: Final = (
    Case("async", "ASGI", ours.asgi_sse_async, usual.event_source_async, 10_000),
    Case("sync", "ASGI", ours.asgi_sse_sync, usual.event_source_sync, 2_000),
)

WAYS: Final = {way.__name__: way for case in (*EXPORTS, *EVENTS) for way in (case.ours, case.usual)}


def app_at(path: str) -> Any:
    """What answers ``/way/elements/count``."""
    _, way, elements, count = path.split("/")
    return WAYS[way](ELEMENTS[elements](int(count)))


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await app_at(scope["path"])(scope, receive, send)


def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    body: Iterable[bytes] = app_at(environ["PATH_INFO"])(environ, start_response)
    return body


def call_asgi(path: str, count: int) -> None:
    """Be a server whose client takes everything at once and never leaves."""

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(event: Any) -> None:
        pass

    # By the version Starlette decides how to watch for a disconnect; it is uvicorn's.
    scope = {"type": "http", "method": "GET", "path": path, "asgi": {"spec_version": "2.3"}}
    asyncio.run(asgi_app(scope, receive, send))


def call_wsgi(path: str, count: int) -> None:
    """Be a server whose client takes everything at once and never leaves."""
    for _ in wsgi_app({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *_: None):
        pass


def compare(title: str, cases: Sequence[Case], elements: str, read: Mapping[str, Read]) -> None:
    """Stream ``elements`` in all ways of ``cases`` and print a table; ``read`` is by protocol."""
    runs = {}
    for case in cases:
        for way, count in ((case.usual, case.usual_elements), (case.ours, OUR_ELEMENTS)):
            path = f"/{way.__name__}/{elements}/{count}"
            runs[way] = Run(count, partial(read[case.protocol], path, count))
    measured = rates(runs)
    print_table(
        title,
        ("source", "protocol", "usual way", "its rate/s", "streamkit/s", "ratio", "expected"),
        [
            (
                case.source,
                case.protocol,
                case.usual.__name__,
                f"{measured[case.usual]:,.0f}",
                f"{measured[case.ours]:,.0f}",
                f"{measured[case.ours] / measured[case.usual]:.1f}",
                f"{case.expected or ''}",
            )
            for case in cases
        ],
    )


def main() -> None:
    in_process = {"ASGI": call_asgi, "WSGI": call_wsgi}
    for elements in ELEMENTS:
        compare(f"Exports of {elements} in process", EXPORTS, elements, in_process)
    with serving(run_uvicorn, asgi_app) as uvicorn, serving(run_waitress, wsgi_app) as waitress:
        served = {"ASGI": partial(read_all, uvicorn), "WSGI": partial(read_all, waitress)}
        for elements in ELEMENTS:
            compare(
                f"Exports of {elements} over {UVICORN} and {WAITRESS}", EXPORTS, elements, served
            )
        compare(f"Events over {UVICORN}, usual way: sse-starlette", EVENTS, "ticks", served)


if __name__ == "__main__":
    main()
