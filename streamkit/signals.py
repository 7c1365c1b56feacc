"""The end of a process: its live streams end in good order, and no new ones begin.

``shutdown()`` says that it has come. It is called when SIGTERM or SIGINT arrives; where no signal
does, by a hook of the server's.
"""

import _thread
import asyncio
import atexit
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any, Final, Protocol

from streamkit import recycling
from streamkit.fork import call_in_child
from streamkit.log import say, say_once

__all__ = [
    "add",
    "call_at_end",
    "call_at_exit",
    "discard",
    "finish",
    "is_shut_down",
    "shutdown",
    "shutdown_on_signals",
]

QUIT: Final = getattr(signal, "SIGQUIT", None)
"""What gunicorn's arbiter, when it is interrupted, sends to its workers. Elsewhere it is a user's
way to have a process dump its core, which then is not put off.
"""

# Each live stream asks for the handlers, and the functions of ``signal`` take 8 microseconds to
# make enums of them.
_signal: Final[Any] = import_module("_signal")

SIGNALS: Final = tuple(filter(None, (signal.SIGTERM, signal.SIGINT, QUIT)))

RELAY: Final = getattr(signal, "SIGURG", None)
"""Has the main thread set the handlers when another one starts a stream. It is ignored by default,
and no server is known to use it.
"""

MAX_DELAY: Final = 1.0
"""Seconds that a signal is put off at most for live streams to end."""

FLUSH_DELAY: Final = 0.1
"""Seconds that the server then has to send what it was handed last, and the main thread to wait
again."""


class LiveStream(Protocol):
    def retire(self) -> None: ...


UNHEARD: Final = (
    "live streams will be broken off when this process is told to end, since it does not hear of "
    "signals: the application needs its StreamkitMiddleware, or a call of "
    "streamkit.shutdown_on_signals() where it is made"
)

# Sets and flags without a lock: a signal may be handled while any lock is held.
_live: set[LiveStream] = set()
_shut_down = False
_put_off: set[int] = set()

_last: list[Callable[[], object]] = []
"""What is to be done before a signal is passed on."""

_very_last: dict[Callable[[], object], None] = {}
"""What is to be done when nothing more is served."""

_hears_of_exit = False
"""Whether Python's exit does it in this process."""

_settled: tuple[Any, ...] | None = None
"""The handlers when a live stream last left nothing to change of them."""
_borrower: "_Borrower | None" = None
"""The last one; most processes need no other."""


def add(stream: LiveStream) -> None:
    """A live stream starts; it is retired when the process shuts down, be it now."""
    _live.add(stream)
    if _handlers() != _settled:
        _settle_handlers()
    if _shut_down:
        stream.retire()


def discard(stream: LiveStream) -> None:
    """A live stream is over, or another stream is."""
    if stream in _live:
        _live.discard(stream)
        if not _live and any(type(handler) is _Borrower for handler in _handlers()):
            _look_after_handlers()


def call_at_end(callback: Callable[[], object]) -> None:
    """Call ``callback`` before a signal that ends live streams is passed on. On another thread."""
    _last.append(callback)


def call_at_exit(callback: Callable[[], object]) -> None:
    """Call ``callback`` when nothing more is served: as Python exits, or where it will not.

    That is before a signal that nobody handles is passed on, and when a server has said that it is
    at its end, which may be by a signal. On any thread, and once or more; in a child of a fork not
    at all. To ask for it again changes nothing.
    """
    _very_last[callback] = None
    _hear_of_exit()
    # Or a signal would end the process at once, where nobody has a handler for it.
    shutdown_on_signals()


def _hear_of_exit() -> None:
    global _hears_of_exit
    if _hears_of_exit:
        return
    _hears_of_exit = True
    # A child of a fork has its parent's already.
    atexit.unregister(finish)
    atexit.register(finish)
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        # Python never comes to its exit in one of multiprocessing's children that was forked.
        import_module("multiprocessing.util").Finalize(None, finish, exitpriority=0)


def finish() -> None:
    """Nothing more is served. It may wait for what is to be done then, and not on a loop."""
    for callback in reversed([*_very_last]):
        _call(callback)


def _call(callback: Callable[[], object]) -> None:
    """What fails at the end of a process keeps nothing else from being done then."""
    try:
        callback()
    except Exception as error:
        say(logging.ERROR, "at the end of this process: %s", error, error=error)


def is_shut_down() -> bool:
    """Whether no stream is to begin any more."""
    return _shut_down


def shutdown() -> None:
    """Retire all live streams of this process, and let no new one begin. Idempotent.

    A live stream sends what is ready, and a ``retry`` that differs from client to client so that
    they do not all come back at once; its source is closed. Downloads and exports go on to their
    end. To be called on any thread, but not in a signal handler.
    """
    global _shut_down
    _shut_down = True
    _retire_all()


def shutdown_on_signals() -> None:
    """Have SIGTERM and SIGINT end the live streams, and then do what they did before.

    So does SIGQUIT, where it has a handler.

    Every middleware calls it when it is made, and so does a live stream that starts. On another
    thread than the main one, which alone can set handlers, it needs one of these calls to have been
    on that.

    A handler of Python's own, which raises KeyboardInterrupt or cancels what ``asyncio.run`` runs,
    is replaced only while live streams are open: asyncio looks whether it is still there.
    """
    _look_after_handlers()


def _handlers() -> tuple[Any, ...]:
    return tuple(map(_signal.getsignal, SIGNALS))


def _settle_handlers() -> None:
    """Chain those that are to be chained, and find out whose they are."""
    global _settled
    _look_after_handlers()
    handlers = _handlers()
    if handlers != _settled and not any(map(_is_to_change, SIGNALS)):
        is_known = recycling.watch(map(_handler, SIGNALS), shutdown)
        _settled = handlers if is_known else None


def _look_after_handlers() -> None:
    """Have the main thread chain the handlers, or give Python's own back."""
    if "uwsgi" in sys.modules:
        # The module is there in the server only, whose handlers are not those that Python knows of.
        # A signal for its main thread has it break off a body that it is just sending.
        return
    if not any(map(_is_to_change, SIGNALS)):
        return
    try:
        _chain()
    except ValueError:
        # This is not the main thread.
        if RELAY is not None and signal.getsignal(RELAY) is _chain:
            _send(RELAY)
        else:
            say_once(UNHEARD)


def _chain(number: int = 0, frame: FrameType | None = None) -> None:
    if RELAY is not None and _signal.getsignal(RELAY) == signal.SIG_DFL:
        signal.signal(RELAY, _chain)
    for number in filter(_is_to_change, SIGNALS):
        handler = _signal.getsignal(number)
        if isinstance(handler, _Borrower):
            _put_off.discard(number)
            _signal.signal(number, handler.previous)
        else:
            _signal.signal(number, _successor(handler))


def _successor(handler: Any) -> "_Handler":
    """What is put in its place: the same as last time, where it was given back since."""
    global _borrower
    if not _is_pythons_own(handler):
        return _Handler(handler)
    if _borrower is None or _borrower.previous is not handler:
        _borrower = _Borrower(handler)
    return _borrower


def _is_to_change(number: int) -> bool:
    handler = _signal.getsignal(number)
    if isinstance(handler, _Borrower):
        return not _live
    # None is one that is not Python's, and could not be called.
    if handler in (None, signal.SIG_IGN) or isinstance(handler, _Handler):
        return False
    if handler == signal.SIG_DFL:
        return number != QUIT
    return bool(_live) or not _is_pythons_own(handler)


def _is_pythons_own(handler: Any) -> bool:
    """Whether it is the one that an interpreter starts with, or that of ``asyncio.run``."""
    owner = getattr(getattr(handler, "func", None), "__self__", None)
    return handler is signal.default_int_handler or isinstance(owner, asyncio.Runner)


def _handler(number: int) -> Any:
    """What was there before, where it is chained."""
    handler = _signal.getsignal(number)
    return handler.previous if isinstance(handler, _Handler) else handler


class _Handler:
    """Ends the live streams, and passes the signal on to the handler that was there before."""

    def __init__(self, previous: Any) -> None:
        self.previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number not in _put_off:
            _put_off.add(number)
            # Not on this thread, which may have been interrupted while it held any lock. If there
            # is no other to be had, the signal is passed on at once.
            with suppress(RuntimeError):
                if _live or _last or (_very_last and self._is_for_system):
                    _thread.start_new_thread(self._end_and_send, (number,))
                    return
                _thread.start_new_thread(self.end, ())
        self.pass_on(number, frame)

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        if callable(self.previous):
            self.previous(number, frame)
        else:
            signal.signal(number, self.previous)
            signal.raise_signal(number)

    @property
    def _is_for_system(self) -> bool:
        """Whether the process ends by it at once, and Python never comes to its exit."""
        return bool(self.previous == signal.SIG_DFL)

    def end(self) -> None:
        """What the signal means for streams."""
        shutdown()

    def _end_and_send(self, number: int) -> None:
        try:
            self.end()
            put_off_until = time.monotonic() + MAX_DELAY
            while _live and time.monotonic() < put_off_until:
                time.sleep(0.01)
            # Also where no stream was live: the main thread has only just handled the signal, and
            # one that comes as it begins to wait again is handled when something else wakes it,
            # which may be never.
            time.sleep(FLUSH_DELAY)
            for callback in _last:
                _call(callback)
            if self._is_for_system:
                finish()
        finally:
            _send(number)


class _Borrower(_Handler):
    """In the place of a handler of Python's own, until there are no live streams any more.

    The process may well go on after it: a shell, or a test.
    """

    def end(self) -> None:
        _retire_all()

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        # Only now: a stream whose source is in its own code may live on, and it would be put off
        # again and again.
        _put_off.discard(number)
        super().pass_on(number, frame)


def _retire_all() -> None:
    for stream in _live.copy():
        _call(stream.retire)


def _send(number: int) -> None:
    """Have the main thread, which may be waiting for something, handle a signal."""
    if os.name == "nt":
        # There ``kill`` would be the end.
        signal.raise_signal(number)
        return
    try:
        os.kill(os.getpid(), number)
    except OSError as error:
        say_once("this process may not send itself signals, and handles them late", error)
        # It does not interrupt a call of the system that the main thread waits in.
        _thread.interrupt_main(signal.Signals(number))


def _forget() -> None:
    """A child of a fork has nothing that its parent has begun, and is not shut down with it."""
    global _shut_down, _settled, _hears_of_exit
    _shut_down = False
    _settled = None
    _hears_of_exit = False
    _very_last.clear()
    _live.clear()
    _put_off.clear()


call_in_child(_forget)
