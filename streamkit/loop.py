"""The event loop that the caller runs on, and how another thread has something done there."""

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["asyncio_loop", "call_on", "running_loop"]


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    """Call ``callback`` on ``loop``: now, if the caller runs on it, else as soon as it can.

    False if the loop is closed, and whoever waited there is gone with it.
    """
    if running_loop() is loop:
        callback()
        return True
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        if not loop.is_closed():
            raise
        return False
    return True


def asyncio_loop() -> asyncio.AbstractEventLoop:
    """The event loop that the caller runs on. Raises RuntimeError if that is not asyncio's."""
    loop = running_loop()
    if loop is None:
        raise RuntimeError(
            "streamkit needs an event loop of asyncio: with trio (hypercorn -k trio) it cannot "
            "stream, with hypercorn -k asyncio or -k uvloop it can"
        )
    return loop


running_loop: Final = asyncio._get_running_loop
"""The event loop that the caller runs on, if any. ``asyncio.get_running_loop`` raises if there is
none, which each notification by a thread would have to catch.
"""
