"""Where the code of a stream runs, and who is told of the stream."""

from collections.abc import Callable
from contextlib import ExitStack
from contextvars import copy_context

from streamkit.stream.record import Counted, Record

__all__ = ["Callback", "Setting"]

Callback = Callable[[BaseException | None], object]
"""What is called once a stream is over, with the exception that it failed with, or None."""


class Setting:
    """What belongs to a stream from the call that made it to its end, whatever becomes of it."""

    __slots__ = ("_callbacks", "_is_over", "context", "encoder_context", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.context = copy_context()
        """The copy of the caller's context that all of the source runs in."""
        # The user's serialize runs beside the source, and no context can be entered by two at a
        # time.
        self.encoder_context = copy_context()
        """The other copy of the caller's context, which ``serialize`` runs in."""
        self._callbacks: list[Callback] = []
        self._is_over = False

    def open(self, counted: Counted | None = None) -> None:
        """The stream begins, and what its source gives is ``counted`` there."""
        self.record.open(self.context, self.encoder_context, counted=counted)

    def call_on_close(self, callback: Callback) -> None:
        """Call ``callback`` once the stream is over, in the context that its source ran in.

        One that comes too late is called at once, and passed None.
        """
        self._callbacks.append(callback)
        if self._is_over:
            # Another thread may be in the context itself, and call those that came in time.
            self.context.copy().run(self._call_back, None)

    def close(self, failure: BaseException | None) -> None:
        """The stream is over: call whoever wants to know of it, the last to say so first.

        To be called in ``context``. All are called, even if one raises; that is raised then.
        """
        self._is_over = True
        self._call_back(failure)

    def _call_back(self, failure: BaseException | None) -> None:
        if not self._callbacks:
            return
        with ExitStack() as stack:
            # Each callback is popped once, by this thread or by one that comes with another one too
            # late.
            while self._callbacks:
                try:
                    callback = self._callbacks.pop(0)
                except IndexError:
                    break
                stack.callback(callback, failure)
