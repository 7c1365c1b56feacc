"""Where the channels of this process are."""

import os
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from streamkit.channels.audience import Audience
from streamkit.channels.frame import Frame
from streamkit.channels.hub import Hub
from streamkit.channels.memory import Memory
from streamkit.channels.position import Position
from streamkit.channels.ring import Ring
from streamkit.channels.siblings import has_siblings
from streamkit.fork import call_in_child, shared_lock
from streamkit.log import say_once

__all__ = ["VARIABLE", "Companion", "Engine", "companion", "engine", "tell_of_siblings", "use"]

VARIABLE: Final = "STREAMKIT_CHANNELS"
"""The environment variable that says where channels are, if no call does."""

ONE_OF_SEVERAL: Final = (
    "channels are in the memory of this process, which seems to be one of several workers: if it "
    "is, an event reaches only the clients of the process that it is published in, a client that "
    "comes back to another one is told of a gap, and no resumable answer is found there: see "
    "streamkit.channels.use"
)

SCHEMES: Final = ("redis://", "rediss://", "unix://", "valkey://", "valkeys://")


class Engine(Protocol):
    """Who keeps the channels. Any thread may call it, and loops what is to be awaited."""

    def publish(self, name: str, frame: Frame) -> str:
        """Keep an event, have all woken who wait for it, and return its id."""
        ...

    async def apublish(self, name: str, frame: Frame) -> str:
        """``publish`` on an event loop."""
        ...

    def positions(self, names: Sequence[str]) -> list[Position]:
        """Behind the latest event of each. The first look begins the history."""
        ...

    async def apositions(self, names: Sequence[str]) -> list[Position]:
        """``positions`` on an event loop."""
        ...

    def listen(
        self, name: str, after: Position | None, loop: AbstractEventLoop | None
    ) -> tuple[Hub, Ring, Audience]:
        """The channel for one more listener, on ``loop`` or a thread, which comes with ``after``.

        And the history that it is to read, and where it is to wait. It waits for nothing itself.
        ``release`` follows, once.
        """
        ...

    def release(self, hub: Hub, loop: AbstractEventLoop | None) -> None:
        """The channel has one listener less."""
        ...

    def close(self) -> None:
        """Nobody will publish or begin to listen any more."""

    def after_fork(self) -> "Engine":
        """The same for a child process, which has the objects of its parent, and no thread."""
        ...


class Companion(Protocol):
    """What else is kept where the channels are."""

    def close(self) -> None:
        """Channels are kept elsewhere from now on, and so is this."""

    def forget(self) -> None:
        """This is a child of a fork, and has none of it: it closes what it has inherited."""


C = TypeVar("C", bound=Companion)

_lock: Final = shared_lock()

_engine: Engine | None = None
_companions: Final[dict[Callable[[Any], Any], Any]] = {}
_has_looked = False
"""Whether this process was looked at, and its log told if it has siblings."""


def use(url: str | None) -> None:
    """Say, once a process and before the first event, where its channels are.

    The URL of a Redis (7 or later) or Valkey, which all processes share that are to reach each
    other's clients::

        channels.use("redis://127.0.0.1:6379/0")

    Also ``rediss://`` (TLS), ``unix:///path``, ``valkey://``, with ``user:password@`` and what else
    redis-py takes. It is not connected to before the first event or listener. None is this
    process's own memory, which no other one reaches. Without the call it is what the environment
    variable ``STREAMKIT_CHANNELS`` says, else memory.

    Raises TypeError or ValueError for what is no such URL, and ImportError where redis-py is not
    installed.
    """
    global _engine
    with _lock:
        old, _engine = _engine, _engine_of(url)
        companions = [] if old is _engine else [*_companions.values()]
        if companions:
            _companions.clear()
    for each in companions:
        each.close()
    if old is not None and old is not _engine:
        old.close()


def engine() -> Engine:
    """Where they are now."""
    global _engine
    if _engine is None:
        # Of all threads that come first at the same time, one makes it: each has connections.
        with _lock:
            if _engine is None:
                _engine = _engine_of(os.environ.get(VARIABLE) or None)
    if not _has_looked:
        _look()
    return _engine


def companion(make: Callable[[Engine], C]) -> C:
    """What ``make`` makes of the engine: once, for as long as that is in use."""
    found: C | None = _companions.get(make)
    if found is None:
        # With the lock held, or it might be made of what another thread has just replaced.
        with _lock:
            now = engine()
            found = _companions.get(make)
            if found is None:
                found = _companions[make] = make(now)
    return found


def tell_of_siblings() -> None:
    """The server says that it has several processes."""
    if isinstance(engine(), Memory):
        say_once(ONE_OF_SEVERAL)


def _engine_of(url: str | None) -> Engine:
    if url is None:
        return _engine if isinstance(_engine, Memory) else Memory()
    if not isinstance(url, str):
        raise TypeError(f"url must be a str or None, got {type(url).__name__}")
    if not url.startswith(SCHEMES):
        # Not the whole, in which there may be a password.
        raise ValueError(
            f"url must begin with one of {', '.join(SCHEMES)}, or be None, "
            f"got {url.partition(':')[0][:20]!r}"
        )
    return _redis()(url)


def _redis() -> Callable[[str], Engine]:
    # Not before it is needed: it is an extra, and takes its time.
    from streamkit.channels.redis.engine import Redis

    return Redis


def _look() -> None:
    global _has_looked
    _has_looked = True
    if has_siblings():
        tell_of_siblings()


def _forget() -> None:
    # A child has the events of its parent, but nobody who listens, and its own are to be others.
    global _engine, _has_looked
    for each in _companions.values():
        each.forget()
    _companions.clear()
    if _engine is not None:
        _engine = _engine.after_fork()
    _has_looked = False


call_in_child(_forget)

if os.environ.get(VARIABLE, "").startswith(SCHEMES):
    # It will be needed, by a request whose event loop would stand still for the half of a second
    # that it takes. What is wrong with it is told to who needs it.
    with suppress(Exception):
        _redis()
