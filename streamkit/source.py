"""The user's iterable: what may be one, and how it is opened and closed."""

import inspect
import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar, cast

from streamkit.feed import Subscribable

__all__ = [
    "Inline",
    "Lossless",
    "Source",
    "aclose",
    "check_async",
    "check_source",
    "inline",
    "lossless",
    "under_gevent",
]

T = TypeVar("T")


_INLINE_ON_LOOP: Final = (
    "an inline source cannot be streamed under ASGI, where it would block the event loop: pass the "
    "iterable itself, and it runs on a thread of its own"
)


class Inline(Generic[T]):
    """What ``inline`` returns: a sync iterable that stays on its consumer's thread."""

    __slots__ = ("iterable",)

    def __init__(self, iterable: Iterable[T]) -> None:
        self.iterable = iterable


def inline(iterable: Iterable[T]) -> Inline[T]:
    """Mark a thread-bound sync source: under WSGI it runs on the thread that serves the request.

    For what must not leave the thread it was made on: a ``sqlite3`` cursor opened in the view, a
    database transaction of a test case. Such a stream has no pump: it cannot send a heartbeat, nor
    notice that its client left, while the source blocks. Under ASGI, where a blocking source would
    stop the event loop, opening it raises RuntimeError.

    The mark holds for a response that is sent. One that is neither sent nor closed is found when it
    is garbage, and its source is then closed on another thread than the one it was made on: what
    that raises is logged.

    Raises TypeError if ``iterable`` is not a sync iterable. In a view::

        rows = sqlite3.connect("shop.db").execute("select id, status from orders")
        return StreamingService.export("orders", inline(rows), "csv")
    """
    if isinstance(iterable, Lossless):
        raise TypeError("iterable must not be lossless yet: lossless(inline(…)) marks it as both")
    check_source("iterable", iterable)
    if isinstance(iterable, Inline):
        return iterable
    if not hasattr(iterable, "__iter__"):
        raise TypeError(
            "iterable must be a sync iterable: an async one runs on an event loop and cannot be "
            f"inline, got {type(iterable).__name__}"
        )
    return Inline(iterable)


class Lossless(Generic[T]):
    """What ``lossless`` returns: events of which a slow client is to miss none."""

    __slots__ = ("events",)

    def __init__(self, events: "Iterable[T] | AsyncIterable[T] | Inline[T]") -> None:
        self.events = events


def lossless(
    events: "Iterable[T] | AsyncIterable[T] | Inline[T] | Lossless[T]",
) -> Lossless[T]:
    """Mark a source of events that has an end, and of which each counts: for ``sse``.

    For the tokens of an answer, or the lines of a log: where a client is slow, the source waits
    once 128 of its events do, and none is dropped. No age ends such a stream; at the end of the
    process it goes on for as long as the server waits for it.

    A lossless channel waits for nobody. Its client is never told of a gap while it is connected: if
    it is so slow that the history no longer has what comes next, the stream is broken off, and the
    client comes back with its last id. Age and the end of the process end it like any channel's.

    Raises TypeError if ``events`` is no source of elements::

        return StreamingService.sse("answer", lossless(tokens(prompt)))
    """
    if isinstance(events, Lossless):
        return events
    check_source("events", events)
    return Lossless(events)


def check_source(argument: str, value: object) -> None:
    """Raise TypeError, naming ``argument``, if ``value`` is no source of elements.

    A coroutine is no source, and is closed, as Python would warn that nobody awaited it. Raises
    ValueError for a generator that is over, and RuntimeError for an async source under gevent.
    """
    if isinstance(value, Inline):
        return
    if isinstance(value, Lossless):
        raise TypeError(f"{argument} must not be lossless: that is for sse, and nothing else drops")
    expected = f"{argument} must be an iterable or async iterable of elements"
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError(f"{expected}, got a coroutine: await it, and pass what it returns")
    if inspect.isroutine(value):
        name = getattr(value, "__name__", "the function")
        raise TypeError(f"{expected}, got a function: call it, as in {name}()")
    if isinstance(value, str | bytes | bytearray | memoryview):
        raise TypeError(f"{expected}, got one {type(value).__name__}: put it in a list")
    if isinstance(value, Mapping):
        raise TypeError(f"{expected}, got one mapping: put it in a list, or pass its .items()")
    if isinstance(value, type) or not (hasattr(value, "__iter__") or hasattr(value, "__aiter__")):
        raise TypeError(f"{expected}, got {type(value).__name__}")
    if _is_over(value):
        name = getattr(value, "__name__", "generator")
        raise ValueError(
            f"{argument} must have elements left, got the generator {name!r}, which was read to "
            "its end, or closed: make a new one for each response"
        )
    if not hasattr(value, "__iter__"):
        check_async(argument)


def _is_over(value: Any) -> bool:
    """Whether it is a generator that has ended; others do not tell."""
    if inspect.isgenerator(value):
        return value.gi_frame is None
    return inspect.isasyncgen(value) and value.ag_frame is None


def check_async(argument: str) -> None:
    """Raise RuntimeError, naming ``argument``, if this process cannot stream an async source."""
    if under_gevent():
        raise RuntimeError(
            f"{argument} must be sync under gevent, whose threads are not threads and cannot run "
            "an event loop: got an async one, which servers with threads (gunicorn -k gthread) and "
            "ASGI servers stream"
        )


def under_gevent() -> bool:
    """Whether threads are greenlets, which nothing interrupts."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


class Source:
    """An iterable that is opened late and closed once, and not kept after that.

    Both the iterator and the iterable that it came from are closed, where they have a ``close`` or
    ``aclose``: an iterable that makes a generator may have a ``close`` of its own, as the body of a
    WSGI response has (PEP 3333), and the generator has one as well.
    """

    __slots__ = ("_iterable", "_iterator", "inline", "never_waits")

    def __init__(
        self, iterable: Iterable[Any] | AsyncIterable[Any] | Inline[Any] | Subscribable
    ) -> None:
        self.inline = isinstance(iterable, Inline)
        self._iterable: Any = iterable.iterable if isinstance(iterable, Inline) else iterable
        if isinstance(iterable, Subscribable):
            self._iterable = iterable.unstarted
        self._iterator: Any = None
        self.never_waits: bool = (
            self._iterable is None or getattr(self._iterable, "never_waits", False) is True
        )
        """Whether no step of it waits: a thread may read it inline, and a loop close it."""

    def reads_async(self, *, on_loop: bool) -> bool:
        """Whether a task reads it and not a thread.

        An iterable that is both, such as a Django queryset, is read the way its consumer is.
        """
        if not hasattr(self._iterable, "__aiter__"):
            return False
        return on_loop or not hasattr(self._iterable, "__iter__")

    def reason_against_loop(self) -> str | None:
        """Why it cannot be streamed on an event loop; None if it can."""
        return _INLINE_ON_LOOP if self.inline and not self.reads_async(on_loop=True) else None

    def iterator(self) -> Iterator[Any]:
        """Open a sync iterable. Called once at the most."""
        self._iterator = iter(self._iterable)
        return cast("Iterator[Any]", self._iterator)

    def async_iterator(self) -> AsyncIterator[Any]:
        """Open an async iterable. Called once at the most."""
        self._iterator = aiter(self._iterable)
        return cast("AsyncIterator[Any]", self._iterator)

    def close(self) -> None:
        """Close what was opened, and let go of it. Raises what that raises; idempotent."""
        iterator, iterable = self._let_go()
        try:
            if iterator is not iterable:
                _close(iterator)
        finally:
            _close(iterable)

    async def aclose(self) -> None:
        """``close`` for what is async, or read by a task."""
        iterator, iterable = self._let_go()
        try:
            if iterator is not iterable:
                await aclose(iterator)
        finally:
            await aclose(iterable)

    def _let_go(self) -> tuple[Any, Any]:
        opened = self._iterator, self._iterable
        self._iterator = self._iterable = None
        return opened


def _close(closable: Any) -> None:
    close = getattr(closable, "close", None)
    if close is not None:
        close()


async def aclose(closable: Any) -> None:
    """Call the ``aclose`` or ``close`` of what has one, and await it: drivers have async closes."""
    close = getattr(closable, "aclose", None) or getattr(closable, "close", None)
    if close is not None:
        closing = close()
        if inspect.isawaitable(closing):
            await closing
