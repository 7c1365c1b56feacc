"""The interpreter, which one thread at a time has."""

import threading
import time
from typing import Final

__all__ = ["share"]

TURN: Final = 0.005
"""Seconds, as in ``sys.getswitchinterval``."""

PAUSE: Final = 0.0001
"""Seconds in which a thread wakes up."""


class _Turn(threading.local):
    """When this thread's began, and how many seconds of a processor it had used by then."""

    began = 0.0
    used = 0.0


_turn: Final = _Turn()


def share() -> None:
    """Let other threads have it, if there are any and this one was busy all its turn.

    CPython takes it from a thread that had it for 5 milliseconds on end. A busy event loop gives it
    up by itself before that, each time that it looks at its sockets, and has taken it back before a
    thread that waits for it has woken up: that one might wait for ever.
    """
    length = time.monotonic() - _turn.began
    if length < TURN:
        return
    is_busy = time.thread_time() - _turn.used > length / 2
    if is_busy and threading.active_count() > 1:
        time.sleep(PAUSE)
    _turn.began, _turn.used = time.monotonic(), time.thread_time()
