"""Where the channels of this process are."""

import sys
from typing import Final

from streamkit.channels.memory import Memory
from streamkit.fork import call_in_child
from streamkit.log import say_once

__all__ = ["engine", "tell_of_siblings", "use"]

ONE_OF_SEVERAL: Final = (
    "channels are in the memory of this process, which seems to be one of several workers: if it "
    "is, an event reaches only the clients of the process that it is published in, and a client "
    "that comes back to another one is told of a gap"
)

_engine = Memory()
_has_looked = False
"""Whether this process was looked at, and its log told if it has siblings."""


def use(url: str | None) -> None:
    """Say, once a process and before the first event, where its channels are.

    None is where they are anyway: in the memory of this process, which no other one reaches.

    Raises RuntimeError for the URL of a Redis, where this version cannot have them yet, and
    TypeError or ValueError for anything else.
    """
    if url is None:
        return
    if not isinstance(url, str):
        raise TypeError(f"url must be a str or None, got {type(url).__name__}")
    if url.startswith(("redis://", "rediss://", "unix://", "valkey://", "valkeys://")):
        raise RuntimeError(
            "channels across processes (redis://…) are not available in this version of streamkit: "
            "without the call, or with None, they are in the memory of each process"
        )
    raise ValueError(f"url must be None, got {url!r}")


def engine() -> Memory:
    """Where they are now."""
    if not _has_looked:
        _look()
    return _engine


def tell_of_siblings() -> None:
    """The server says that it has several processes."""
    say_once(ONE_OF_SEVERAL)


def _look() -> None:
    global _has_looked
    _has_looked = True
    # Who has not imported it is no child of it.
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        say_once(ONE_OF_SEVERAL)


def _forget() -> None:
    # A child has the events of its parent, but nobody who listens, and its own are to be others.
    global _engine, _has_looked
    _engine = Memory()
    _has_looked = False


call_in_child(_forget)
