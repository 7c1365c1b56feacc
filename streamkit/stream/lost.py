"""Streams that were lost: nobody read them to their end, and nobody closed them."""

import logging
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["look_for_lost", "lose"]

logger = logging.getLogger("streamkit")


class _Lost:
    """A queue, and a daemon thread that closes what it finds there."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._is_watched = False

    def watch(self) -> None:
        if self._is_watched:
            return
        # Set first: of two threads that come here at once, two readers would do no harm.
        self._is_watched = True
        reader = threading.Thread(target=self._close_all, name="streamkit-lost", daemon=True)
        try:
            reader.start()
        except RuntimeError:
            # No thread is to be had now. What is lost waits until a later stream finds one.
            self._is_watched = False

    def _close_all(self) -> None:
        while True:
            close = self.queue.get()
            try:
                close()
            except BaseException:
                logger.exception("a stream that nobody closed could not be closed properly")
            # Nothing of a stream is kept until the next one is lost.
            del close


_lost = _Lost()


def _forget() -> None:
    # A forked child has its parent's queue, but not the thread that reads it.
    global _lost
    _lost = _Lost()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def look_for_lost() -> None:
    """Let what is lost from now on be found: each stream that is made calls it.

    A finalizer could not: it may run anywhere, and so within the start of another thread.
    """
    _lost.watch()


def lose(close: Callable[[], object]) -> None:
    """Have ``close`` called by a thread of its own. For finalizers.

    They run in the middle of any other code, which may hold a lock that is wanted to close a
    stream, such as a metric's. To put something on a ``SimpleQueue`` takes none of ours.
    """
    _lost.queue.put(close)
