"""Connections that end by a reset (RFC 9293, 3.5.3), as a proper end would be that of the body."""

import os
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

from streamkit.stream.chunks import MAX_STALL

__all__ = ["reset"]

INTERVAL: Final = 0.02
"""Seconds between two looks at what is yet to be sent. A judgement: nobody waits for it."""


def reset(connection: Any) -> None:
    """Take ``connection``, a socket, from its server, and reset it once all of it has arrived.

    The server goes on at once, with a connection in its place where there is nothing to read and
    nobody to write to. A client that takes nothing for two minutes is not waited for.

    Only of TCP, and not on Windows, where a socket is no file that another could take the place of.
    """
    is_tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
    if os.name != "posix" or not is_tcp:
        return
    # Where the server has closed it meanwhile, or there is no descriptor to be had, it ends as it
    # would without this.
    with suppress(OSError, ValueError):
        taken = socket.socket(fileno=os.dup(connection.fileno()))
        try:
            here, there = socket.socketpair()
            there.close()
            with here:
                os.dup2(here.fileno(), connection.fileno(), inheritable=False)
        except OSError:
            taken.close()
            raise
        _reset_when_sent(taken)


def _reset_when_sent(connection: socket.socket) -> None:
    """At once if it is, as most are; else a thread waits for it. A reset throws away the rest."""
    with suppress(RuntimeError):
        if _unsent(connection):
            waiting = threading.Thread(
                target=_wait, args=(connection,), name="streamkit-reset", daemon=True
            )
            waiting.start()
            return
    # Or there is no thread to be had.
    _reset(connection)


def _wait(connection: socket.socket) -> None:
    unsent, since = _unsent(connection), time.monotonic()
    while unsent and time.monotonic() - since < MAX_STALL:
        time.sleep(INTERVAL)
        left = _unsent(connection)
        if left != unsent:
            unsent, since = left, time.monotonic()
    _reset(connection)


def _unsent(connection: socket.socket) -> int:
    """How many bytes the other side has not acknowledged; 0 of one that has ended."""
    # Windows has neither.
    import fcntl
    import termios

    try:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return 0
        unsent = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(unsent, sys.byteorder)


def _reset(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        linger = struct.pack("ii", True, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if sys.platform == "linux":
            # It takes its time to import, and most processes never need it.
            import ctypes

            # What is closed is reset by that, unless the child of a fork still has it. This resets
            # it in any case: connect(2), "AF_UNSPEC".
            unspecified = bytes(16)
            ctypes.CDLL(None).connect(connection.fileno(), unspecified, len(unspecified))
