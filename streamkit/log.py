"""What is said in the log of the kit's own name. No stream fails for what is said of it."""

import logging
import sys
import traceback
from typing import Final

__all__ = ["say", "say_once"]

logger: Final = logging.getLogger("streamkit")

_said: set[str] = set()


def say(level: int, message: str, *arguments: object, error: BaseException | None = None) -> None:
    """Log ``message % arguments`` at this level, with the traceback of ``error``.

    A handler of the application's that raises is told of on the standard error, once.
    """
    try:
        logger.log(level, message, *arguments, exc_info=error)
    except Exception:
        if "a handler raises" not in _said and sys.stderr is not None:
            _said.add("a handler raises")
            sys.stderr.write("a handler of the logger 'streamkit' has raised an error:\n")
            traceback.print_exc()


def say_once(message: str, error: BaseException | None = None) -> None:
    """Warn of something that goes on for as long as the process does."""
    if message not in _said:
        _said.add(message)
        say(logging.WARNING, "%s", message, error=error)
