"""The chunks of a stream for a thread, and how long a client may take nothing of them."""

from collections.abc import Callable
from typing import Final, Self

from streamkit.stream.lost import lose
from streamkit.stream.pipeline import Pipeline, Wait

__all__ = ["Chunks", "max_stall"]

CLIENT_CHECK_INTERVAL: Final = 0.5
"""Seconds between two looks at the client of a thread that waits for its source."""

MAX_STALL: Final = 120.0
"""Seconds in which the client of a live stream has to take something of what it is sent.

A judgement: it has missed four heartbeats by then.
"""

MAX_REST: Final = 3600.0
"""Seconds in which the client of a body that has an end has to take something.

A proxy that buffers, nginx with a full temporary file, stops reading for as long as it takes to
send a gigabyte on: that is an hour at 300 kB/s.
"""


def max_stall(live: bool) -> float:
    """Seconds in which the client of a stream, a ``live`` one or not, has to take something."""
    return MAX_STALL if live else MAX_REST


class Chunks:
    """The chunks of one stream, for a thread: an iterator of non-empty ``bytes``.

    Raises what the source or the encoder raised, unchanged, after the chunks before it. ``close``
    may be called at any time, from any thread, any number of times: a ``next`` that is waiting
    then ends at once.
    """

    def __init__(
        self, pipeline: Pipeline[Wait], client_left: Callable[[], bool] | None = None
    ) -> None:
        """``client_left`` says, while the source is silent, whether there is still a client.

        What it raises is raised by the waiting ``next``.
        """
        self._pipeline = pipeline
        self._client_left = client_left
        self._first: bytes | None = None

    def __del__(self) -> None:
        if not self._pipeline.lifetime.has_left:
            lose(self._pipeline.leave)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        # Another thread that closes takes it away at the same time.
        first, self._first = self._first, None
        if first is not None:
            return first
        pipeline = self._pipeline
        while not pipeline.lifetime.has_left:
            chunk = pipeline.take()
            if chunk is not None:
                return chunk
            if not pipeline.lifetime.has_left:
                self._wait_for_source()
        raise StopIteration

    def prefetch(self) -> bool:
        """Take the first chunk now, so that a source that fails before it fails here.

        False if the source has nothing more for this client.
        """
        self._first = next(self, None)
        return not self._pipeline.nothing_more

    def close(self) -> None:
        self._first = None
        self._pipeline.leave()

    def _wait_for_source(self) -> None:
        is_takeable, timeout = self._pipeline.is_takeable, self._pipeline.timeout()
        if self._client_left is None:
            self._pipeline.wait(is_takeable, timeout)
            return
        interval = CLIENT_CHECK_INTERVAL
        self._pipeline.wait(is_takeable, interval if timeout is None else min(timeout, interval))
        try:
            left = not is_takeable() and self._client_left()
        except BaseException:
            self.close()
            raise
        if left:
            self.close()
