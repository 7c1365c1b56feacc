"""Once a second, while something changes: for figures that other processes read from a file."""

import atexit
import threading
import time
from collections.abc import Callable
from typing import Final

from streamkit import signals

__all__ = ["Updates"]

INTERVAL: Final = 1.0
"""Seconds that a change waits at the most. A judgement: a scrape comes every ten or so."""


class Updates:
    """Calls ``update`` within a second of a change, and when the process ends.

    By a thread, from the first change on, which sleeps until there is another. Where there is none
    to be had, each change is an update of its own.
    """

    def __init__(self, update: Callable[[], bool]) -> None:
        """``update`` returns whether there may be changes that nobody tells of: it goes on then."""
        self._update = update
        self.forget()
        atexit.register(update)
        signals.call_at_end(update)

    def forget(self) -> None:
        """A child of a fork has its parent's thread no more."""
        self._wake: threading.Lock | None = None
        # It is there while no update is near. To pop it is atomic, so that one of many takes it.
        self._claim = [None]

    def tell(self) -> None:
        """Something has changed. From any thread."""
        if not self._claim:
            return
        try:
            self._claim.pop()
        except IndexError:
            return
        # A signal would end the process before the update, where nobody has a handler for it.
        signals.shutdown_on_signals()
        if self._wake is not None:
            self._wake.release()
        elif not self._start():
            self._claim.append(None)
            self._update()

    def _start(self) -> bool:
        wake = threading.Lock()
        thread = threading.Thread(
            target=self._run, args=(wake,), name="streamkit-metrics", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return False
        self._wake = wake
        return True

    def _run(self, wake: threading.Lock) -> None:
        while True:
            wake.acquire()
            time.sleep(INTERVAL)
            # Before the update, since a change may come too late for it.
            self._claim.append(None)
            if self._update():
                self.tell()
