"""Whether other processes serve the same application as this one, where that can be known."""

import signal
import sys
from typing import Any, Final

__all__ = ["has_siblings"]

GRANIAN: Final = "granian-worker"
"""The name that granian gives to its processes, whose first argument is the worker's number."""


def has_siblings() -> bool:
    """True only if that is sure, or if this is some other child of ``multiprocessing``.

    As in gunicorn 27, uvicorn 0.54, hypercorn 0.18 and granian 2.8. One worker under a supervisor,
    for reloads say, is no one of several. Other servers tell by ``wsgi.multiprocess``, or do not.
    """
    return _is_one_of_gunicorn() or _is_one_of_multiprocessing()


def _is_one_of_gunicorn() -> bool:
    # Its workers have a handler of this signal, of whatever class they are.
    number = getattr(signal, "SIGUSR1", None)
    if "gunicorn" not in sys.modules or number is None:
        return False
    worker = getattr(signal.getsignal(number), "__self__", None)
    return _is_more_than_one(getattr(worker, "cfg", None))


def _is_one_of_multiprocessing() -> bool:
    # Who has not imported it is no child of it.
    multiprocessing: Any = sys.modules.get("multiprocessing.process")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return False
    process = multiprocessing.current_process()
    if process.name == GRANIAN:
        number = next(iter(getattr(process, "_args", ())), None)
        return isinstance(number, int) and number > 1
    # uvicorn and hypercorn hand their configuration to a worker.
    config = getattr(process, "_kwargs", {}).get("config")
    return not hasattr(config, "workers") or _is_more_than_one(config)


def _is_more_than_one(config: Any) -> bool:
    workers = getattr(config, "workers", None)
    return isinstance(workers, int) and workers > 1
