"""The event loop that runs async sources where there is none: one thread a process."""

import asyncio
import threading
from contextlib import suppress

from streamkit.fork import call_in_child

__all__ = ["background_loop"]


class _Background:
    """A loop on a daemon thread, both made at the first call."""

    def __init__(self) -> None:
        # The lock is reentrant, as the garbage collector may run a finalizer of the application's
        # while this thread holds it, and that may ask for the loop as well.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    self._loop = _started()
        return self._loop


def _started() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    try:
        threading.Thread(target=_run, args=(loop,), name="streamkit-loop", daemon=True).start()
    except BaseException:
        # The loop has descriptors, which are not left to the garbage collector.
        loop.close()
        raise
    return loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        # A SystemExit in one source stops the loop, which goes on at once: the consumer of that
        # source is told of it, and the other sources are not to end with it.
        with suppress(BaseException):
            loop.run_forever()


_background = _Background()


def _forget() -> None:
    # A forked child has the parent's loop and lock, but not the thread.
    global _background
    _background = _Background()


call_in_child(_forget)


def background_loop() -> asyncio.AbstractEventLoop:
    """The running background loop of this process, the same for every caller.

    Raises OSError if there is no file descriptor for it, and RuntimeError if there is no thread.
    """
    return _background.loop()
