"""The event loop that runs async sources where there is none: one thread a process."""

import asyncio
import os
import threading

__all__ = ["background_loop"]


class _Background:
    """A loop on a daemon thread, both made at the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="streamkit-loop", daemon=True
                ).start()
            return self._loop


_background = _Background()


def _forget() -> None:
    # A forked child has the parent's loop and lock, but not the thread.
    global _background
    _background = _Background()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def background_loop() -> asyncio.AbstractEventLoop:
    """The running background loop of this process, the same for every caller."""
    return _background.loop()
