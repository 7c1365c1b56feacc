"""The end of a process: its live streams end in good order, and no new ones begin.

``shutdown()`` says that it has come. It is called when SIGTERM or SIGINT arrives; where no signal
does, by a hook of the server's.
"""

import _thread
import os
import signal
import time
from contextlib import suppress
from types import FrameType
from typing import Any, Final, Protocol

__all__ = ["add", "discard", "is_shut_down", "shutdown", "shutdown_on_signals"]

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

RELAY: Final = getattr(signal, "SIGURG", None)
"""Has the main thread set the handlers when another one starts a stream. It is ignored by default,
and no server is known to use it.
"""

MAX_DELAY: Final = 1.0
"""Seconds that a signal is put off at most for live streams to end."""

FLUSH_DELAY: Final = 0.1
"""Seconds that the server then has to send what it was handed last."""


class LiveStream(Protocol):
    def retire(self) -> None: ...


# Sets and flags without a lock: a signal may be handled while any lock is held.
_live: set[LiveStream] = set()
_shut_down = False
_put_off: set[int] = set()


def add(stream: LiveStream) -> None:
    """A live stream starts; it is retired when the process shuts down, be it now."""
    _live.add(stream)
    shutdown_on_signals()
    if _shut_down:
        stream.retire()


def discard(stream: LiveStream) -> None:
    _live.discard(stream)


def is_shut_down() -> bool:
    """Whether no stream is to begin any more."""
    return _shut_down


def shutdown() -> None:
    """End all live streams of this process, and tell new ones to come back. Idempotent.

    A live stream sends what is ready, and a ``retry`` that differs from client to client so that
    they do not all come back at once; its source is closed. Downloads and exports go on to their
    end. To be called on any thread, but not in a signal handler.
    """
    global _shut_down
    _shut_down = True
    for stream in _live.copy():
        stream.retire()


def shutdown_on_signals() -> None:
    """Have SIGTERM and SIGINT end the live streams, and then do what they did before.

    Every middleware calls it when it is made, and so does a live stream that starts. On another
    thread than the main one, which alone can set handlers, it needs one of these calls to have been
    on that.
    """
    if all(isinstance(signal.getsignal(number), _Handler) for number in SIGNALS):
        return
    try:
        _chain()
    except ValueError:
        # Not the main thread.
        if RELAY is not None and signal.getsignal(RELAY) is _chain:
            _send(RELAY)


def _chain(number: int = 0, frame: FrameType | None = None) -> None:
    if RELAY is not None and signal.getsignal(RELAY) == signal.SIG_DFL:
        signal.signal(RELAY, _chain)
    for number in SIGNALS:
        handler = signal.getsignal(number)
        # None is one that is not Python's, and could not be called.
        if handler not in (None, signal.SIG_IGN) and not isinstance(handler, _Handler):
            signal.signal(number, _Handler(handler))


class _Handler:
    """Ends the live streams, and passes the signal on to the handler that was there before."""

    def __init__(self, previous: Any) -> None:
        self._previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number not in _put_off:
            _put_off.add(number)
            # Not on this thread, which may have been interrupted while it held any lock. If there
            # is no other to be had, the signal is passed on at once.
            with suppress(RuntimeError):
                if _live:
                    _thread.start_new_thread(_shut_down_and_send, (number,))
                    return
                _thread.start_new_thread(shutdown, ())
        if callable(self._previous):
            self._previous(number, frame)
        else:
            signal.signal(number, self._previous)
            signal.raise_signal(number)


def _shut_down_and_send(number: int) -> None:
    shutdown()
    put_off_until = time.monotonic() + MAX_DELAY
    while _live and time.monotonic() < put_off_until:
        time.sleep(0.01)
    time.sleep(FLUSH_DELAY)
    _send(number)


def _send(number: int) -> None:
    """Have the main thread, which may be waiting for something, handle a signal."""
    if os.name == "nt":
        # There ``kill`` would be the end.
        signal.raise_signal(number)
    else:
        os.kill(os.getpid(), number)


def _forget() -> None:
    """A child of a fork has no streams, and is not shut down with its parent."""
    global _shut_down
    _shut_down = False
    _live.clear()
    _put_off.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
