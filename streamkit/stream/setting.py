"""Where the code of a stream runs, and who is told of the stream."""

from collections.abc import Callable
from contextvars import copy_context

from streamkit.stream.record import Counted, Record

__all__ = ["Callback", "Setting"]

Callback = Callable[[BaseException | None], object]
"""What is called once a stream is over, with the exception that it failed with, or None."""


class Setting:
    """What belongs to a stream from the call that made it to its end, whatever becomes of it.

    Where a source goes on without its stream, what belongs to both lasts until that is closed.
    """

    __slots__ = (
        "_failure",
        "_holds",
        "_is_over",
        "_on_close",
        "_on_settling",
        "context",
        "encoder_context",
        "record",
    )

    def __init__(self, record: Record) -> None:
        self.record = record
        self.context = copy_context()
        """The copy of the caller's context that all of the source runs in."""
        # The user's serialize runs beside the source, and no context can be entered by two at a
        # time.
        self.encoder_context = copy_context()
        """The other copy of the caller's context, which ``serialize`` runs in."""
        self._on_settling: list[Callback] = []
        self._on_close: list[Callback] = []
        # One for the stream. Whoever takes the last one is the last, as to pop is atomic.
        self._holds = [None]
        self._is_over = False
        self._failure: BaseException | None = None

    def open(self, counted: Counted | None = None) -> None:
        """The stream begins, and what its source gives is ``counted`` there."""
        self.record.open(self.context, self.encoder_context, counted=counted)

    def call_on_settling(self, callback: Callback) -> None:
        """Call ``callback`` once the stream is over, in the context of its source.

        One that comes too late is called at once, and passed None.
        """
        self._add(self._on_settling, callback, is_over=self._is_over)

    def call_on_close(self, callback: Callback) -> None:
        """The same once its source is closed as well, if that goes on without it."""
        self._add(self._on_close, callback, is_over=not self._holds)

    def hold(self) -> Callback:
        """The source goes on without its stream, which is not over yet.

        What is returned is called once it is closed, with what it failed with.
        """
        self._holds.append(None)
        return self._let_go

    def close(self, failure: BaseException | None) -> None:
        """The stream is over: call whoever wants to know of it, the last to say so first.

        To be called in ``context``. All are called, even if one raises; that is raised then.
        """
        self._is_over = True
        try:
            _call(self._on_settling, failure)
        finally:
            self._release(failure)

    def _let_go(self, failure: BaseException | None) -> None:
        # Its stream may be in the context itself.
        self.context.copy().run(self._release, failure)

    def _release(self, failure: BaseException | None) -> None:
        self._failure = failure or self._failure
        self._holds.pop()
        if not self._holds:
            failure, self._failure = self._failure, None
            _call(self._on_close, failure)

    def _add(self, callbacks: list[Callback], callback: Callback, *, is_over: bool) -> None:
        callbacks.append(callback)
        if is_over:
            # Another thread may be in the context itself, and call those that came in time.
            self.context.copy().run(_call, callbacks, None)


def _call(callbacks: list[Callback], failure: BaseException | None) -> None:
    taken: list[Callback] = []
    # Each callback is popped once, by this thread or by one that comes with another one too late.
    while callbacks:
        try:
            taken.append(callbacks.pop(0))
        except IndexError:
            break
    _call_last_first(taken, failure)


def _call_last_first(callbacks: list[Callback], failure: BaseException | None) -> None:
    try:
        while callbacks:
            callbacks.pop()(failure)
    finally:
        if callbacks:
            # One has raised, and the others are called all the same.
            _call_last_first(callbacks, failure)
