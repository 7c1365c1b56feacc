"""Workers that their server replaces: after so many requests, or as the code has changed.

Nothing tells an application so: no signal, and no hook. But the server's handlers of signals are
methods of what knows.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from streamkit.fork import call_in_child

__all__ = ["watch"]

INTERVAL: Final = 1.0
"""Seconds between two looks. For as long as a stream keeps it, the worker takes no connections."""


@dataclass(frozen=True)
class _Worker:
    """What a server's object tells."""

    class_name: str
    """Of it, or of what it is derived from."""
    limits: tuple[str, ...]
    """Attributes of which one is set where such a worker may be replaced."""
    goes: Callable[[Any], object]
    """Whether it is about to end, and takes no more connections."""


WORKERS: Final = (
    # gunicorn's sync, gthread, gevent, and asgi on asyncio's own loop.
    _Worker(
        "gunicorn.workers.base.Worker",
        ("cfg.max_requests", "cfg.reload"),
        lambda worker: worker.alive is False,
    ),
    # uvicorn, and its workers for gunicorn, of which those without a limit have sys.maxsize.
    _Worker(
        "uvicorn.server.Server",
        ("config.limit_max_requests",),
        lambda server: server.server_state.total_requests >= _uvicorn_limit(server),
    ),
)
"""As in gunicorn 27 and uvicorn 0.54. Of others nothing can be seen from outside."""

_watched: dict[str, object] = {}
"""The worker of this process, once it was found, whether it may be replaced or not."""


def watch(handlers: Iterable[object], retire: Callable[[], object]) -> bool:
    """Have ``retire`` called, once, when the worker that ``handlers`` are methods of is to go.

    On a thread of its own, which there is only where a server replaces its workers. To be called on
    the thread that a stream starts on: an event loop has handlers of its own. False if that is to
    be asked again, as there was no thread to be had.
    """
    if _watched:
        return True
    for handler in _with_those_of_the_loop(handlers):
        worker = getattr(handler, "__self__", None)
        if (kind := _kind_of(worker)) is None:
            continue
        if _watched.setdefault("worker", worker) is worker and _is_limited(kind, worker):
            return _start(kind, worker, retire)
        return True
    return True


def _with_those_of_the_loop(handlers: Iterable[object]) -> Iterator[object]:
    """And what the running loop calls: there the handlers of signals do nothing themselves."""
    yield from handlers
    try:
        handles = getattr(asyncio.get_running_loop(), "_signal_handlers", None)
    except RuntimeError:
        return
    # uvloop does not show them.
    if isinstance(handles, dict):
        for handle in [*handles.values()]:
            yield getattr(handle, "_callback", None)


def _kind_of(worker: object) -> _Worker | None:
    names = {f"{each.__module__}.{each.__qualname__}" for each in type(worker).__mro__}
    return next((kind for kind in WORKERS if kind.class_name in names), None)


def _is_limited(kind: _Worker, worker: object) -> bool:
    limits = (_told(attrgetter(name), worker) for name in kind.limits)
    return any(isinstance(limit, int) and 0 < limit < sys.maxsize for limit in limits)


def _uvicorn_limit(server: Any) -> int:
    """With the jitter, which a server draws before its first request, if it has any."""
    limit: int = getattr(server, "limit_max_requests", server.config.limit_max_requests)
    return limit


def _told(question: Callable[[Any], object], worker: object) -> object:
    """The answer, or None: a worker of another version may know of no such thing."""
    try:
        return question(worker)
    except Exception:
        return None


def _start(kind: _Worker, worker: object, retire: Callable[[], object]) -> bool:
    def look() -> None:
        while not _told(kind.goes, worker):
            time.sleep(INTERVAL)
        retire()

    try:
        threading.Thread(target=look, name="streamkit-recycling", daemon=True).start()
    except RuntimeError:
        # There is no thread to be had. The next stream tries again.
        _watched.clear()
        return False
    return True


# A child has other handlers, and none of its parent's threads.
call_in_child(_watched.clear)
