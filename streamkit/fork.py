"""What a process and its child both find right after a fork, on systems that have one."""

import os
import threading
from collections.abc import Callable

__all__ = ["call_in_child", "shared_lock"]


def call_in_child(callback: Callable[[], object]) -> None:
    """Call ``callback`` in each child of a fork: it has its parent's objects, but no thread."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=callback)


def shared_lock() -> "threading.RLock":
    """A lock that a fork waits for and holds, so that no child begins with it taken by a thread.

    It is reentrant, since the garbage collector may run a finalizer, which needs the same lock,
    while a thread holds it.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock
