"""A source that nothing was read from, and that is to be closed all the same."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final

from streamkit.loop import call_on, running_loop
from streamkit.source import Source
from streamkit.stream.background import background_loop
from streamkit.stream.setting import Setting

__all__ = ["Closed", "Unread", "close_unread"]

MAX_STEPS: Final = 100
"""How often a source may let others have a turn (``sleep(0)``) that closes where there is no loop.

A judgement: a cleanup does so a few times if at all, and one that does so for ever is given up.
"""

Closed = Callable[[BaseException | None], None]
"""What is called once a source is closed, with what it failed with, or None."""


class Unread:
    """A stream that nobody reads. It ends with its source being closed."""

    def __init__(self, source: Source, setting: Setting) -> None:
        self._source = source
        self._setting = setting
        self.is_closed = False
        """Whether the source is closed."""

    def close(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Close the source as ``close_unread`` does."""
        close_unread(self._source, self._setting.context, self._end, loop)

    def _end(self, error: BaseException | None) -> None:
        self.is_closed = True
        try:
            if error is not None:
                self._setting.record.report_unheard(error)
        finally:
            self._setting.context.run(self._setting.close, error)


def close_unread(
    source: Source,
    context: Context,
    closed: Closed,
    loop: asyncio.AbstractEventLoop | None = None,
) -> None:
    """Close ``source`` in ``context``, and call ``closed`` when that is done, perhaps later.

    An async one is closed on the running loop, on ``loop``, or on the background loop, whichever
    there is; a sync one here, or on a thread if it might block the running loop. Where there are no
    threads to be had, and no descriptors for a loop, it is closed here.
    """
    if source.reads_async(on_loop=running_loop() is not None):
        _close_async(source, context, closed, loop)
    elif running_loop() is None or source.never_waits:
        _close_here(source, context, closed)
    else:
        _close_on_thread(source, context, closed)


def _close_here(source: Source, context: Context, closed: Closed) -> None:
    try:
        context.run(source.close)
    except BaseException as error:
        closed(error)
    else:
        closed(None)


def _close_on_thread(source: Source, context: Context, closed: Closed) -> None:
    closer = threading.Thread(
        target=_close_here, args=(source, context, closed), name="streamkit-close", daemon=True
    )
    try:
        closer.start()
    except RuntimeError:
        _close_here(source, context, closed)


def _close_async(
    source: Source,
    context: Context,
    closed: Closed,
    loop: asyncio.AbstractEventLoop | None,
) -> None:
    def start() -> None:
        task = asyncio.create_task(source.aclose(), context=context)
        _closing.add(task)
        task.add_done_callback(done)

    def done(task: "asyncio.Task[None]") -> None:
        _closing.discard(task)
        closed(asyncio.CancelledError() if task.cancelled() else task.exception())

    loop = running_loop() or loop
    if loop is not None and call_on(loop, start):
        return
    try:
        loop = background_loop()
    except (OSError, RuntimeError):
        closed(context.run(_without_loop, source.aclose()))
    else:
        call_on(loop, start)


def _without_loop(closing: Coroutine[Any, Any, None]) -> BaseException | None:
    """Run ``closing`` without a loop, as far as it waits for nothing; return what it failed with.

    A generator that never began waits for nothing, for one.
    """
    try:
        for _ in range(MAX_STEPS):
            if closing.send(None) is not None:
                # The source waits for a future, which only a loop could bring about.
                break
    except StopIteration:
        return None
    except BaseException as error:
        return error
    closing.close()
    return RuntimeError("there was no event loop to be had on which the source could close")


_closing: set["asyncio.Task[None]"] = set()
"""The tasks that close a source: a loop itself holds its tasks weakly, and would let go of them."""
