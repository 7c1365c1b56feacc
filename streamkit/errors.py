"""The errors of the kit's own."""

import errno

__all__ = ["FellBehind", "NothingMore", "SizeMismatch", "SourceFailed"]


class FellBehind(ConnectionResetError):
    """A lossless subscriber was so slow that its channel no longer has what comes next for it.

    Its stream is broken off, and its client comes back with the id of the last event that it had.
    Many servers of WSGI take the error for what it is to them, a connection that has ended, and log
    no traceback.
    """


class NothingMore(Exception):
    """Raised by the source of a live stream before its first element: there are no more events.

    The response is then a 204, on which an ``EventSource`` does not come back (WHATWG HTML, section
    9.2.3).
    """


class SizeMismatch(ValueError):
    """A download yielded more or fewer bytes than its ``size`` declared."""


class SourceFailed(ConnectionResetError):
    """The source of a resumable answer failed, or its answer became too large.

    Those who follow it are told so by an event ``error``, and broken off. What it failed with is in
    the log of the process that it ran in, once; this is what ``FellBehind`` is to servers.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.ECONNRESET, message)
