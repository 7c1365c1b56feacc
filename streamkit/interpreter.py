"""The interpreter, which one thread at a time has."""

import threading
import time
from typing import Final

__all__ = ["share"]

TURN: Final = 0.005
"""Seconds, as in ``sys.getswitchinterval``."""

PAUSE: Final = 0.0001
"""Seconds in which a thread wakes up."""

_turn_ends: float = 0.0


def share() -> None:
    """Let other threads have it, if there are any and their turn has come.

    CPython takes it from a thread that had it for 5 milliseconds on end. A busy event loop gives it
    up by itself before that, each time that it looks at its sockets, and has taken it back before a
    thread that waits for it has woken up: that one might wait for ever.
    """
    global _turn_ends
    if time.monotonic() >= _turn_ends and threading.active_count() > 1:
        time.sleep(PAUSE)
        _turn_ends = time.monotonic() + TURN
