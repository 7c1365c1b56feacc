"""Streams that were lost: nobody read them to their end, and nobody closed them."""

import logging
import queue
import threading
from collections.abc import Callable

from streamkit.fork import call_in_child
from streamkit.log import say
from streamkit.once import Once

__all__ = ["look_for_lost", "lose", "own_threads"]


class _Lost:
    """A queue, and a daemon thread that closes what it finds there.

    Both are made with the first stream and not at import: gevent, if it is used, may be imported
    later, and has replaced threads and queues by its own when a stream is made.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], object]] | None = None
        self._starts = Once()
        self.is_watched = False

    @property
    def waiting(self) -> "queue.SimpleQueue[Callable[[], object]]":
        if self._queue is None:
            self._queue = queue.SimpleQueue()
        return self._queue

    def watch(self) -> None:
        if not self._starts():
            return
        reader = threading.Thread(
            target=self._close_all, args=(self.waiting,), name="streamkit-lost", daemon=True
        )
        try:
            reader.start()
        except RuntimeError:
            # There is no thread to be had now. Lost streams wait until a later one gets a thread.
            self._starts = Once()
        else:
            self.is_watched = True

    @staticmethod
    def _close_all(lost: "queue.SimpleQueue[Callable[[], object]]") -> None:
        while True:
            close = lost.get()
            # Each has a thread of its own, since what closes a source may take its time.
            closer = threading.Thread(
                target=_close, args=(close,), name="streamkit-close", daemon=True
            )
            try:
                closer.start()
            except RuntimeError:
                _close(close)
            # A stream that was closed is not kept until the next one is lost.
            del close, closer


def _close(close: Callable[[], object]) -> None:
    try:
        close()
    except BaseException as error:
        say(
            logging.ERROR,
            "a stream that nobody closed could not be closed properly",
            error=error,
        )


_lost = _Lost()


def _forget() -> None:
    # A forked child has its parent's queue, but not the thread that reads it.
    global _lost
    _lost = _Lost()


call_in_child(_forget)


def look_for_lost() -> None:
    """Let what is lost from now on be found: each stream that is made calls it.

    A finalizer could not: it may run anywhere, and so within the start of another thread.
    """
    _lost.watch()


def own_threads() -> int:
    """How many threads there are that only wait for something to be lost: one, or none yet."""
    return int(_lost.is_watched)


def lose(close: Callable[[], object]) -> None:
    """Have ``close`` called by a thread of its own. For finalizers.

    They run in the middle of any other code, which may hold a lock that is needed to close a
    stream, such as a metric's. ``SimpleQueue.put`` is made for finalizers: it may interrupt itself.
    """
    _lost.waiting.put(close)
