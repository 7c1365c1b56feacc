"""The chunks of a stream for a thread, and how long a client may take nothing of them."""

import time
from math import inf
from typing import Final, Self

from streamkit.lost import lose
from streamkit.request import Client
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

    def __init__(self, pipeline: Pipeline[Wait], client: Client | None = None) -> None:
        """``client`` is asked, while the source is silent, whether it is still there.

        After a failure of the source, or of its encoder, it is reset, if it was given a chunk
        before.
        """
        self._pipeline = pipeline
        self._client = client
        self._first: bytes | None = None
        self._has_begun = False

    def __del__(self) -> None:
        if not self._pipeline.lifetime.has_left:
            lose(self._pipeline.leave)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            # Another thread that closes takes it away at the same time.
            first, self._first = self._first, None
            chunk = self._take() if first is None else first
        except BaseException:
            if self._has_begun and self._client is not None:
                self._client.reset()
            raise
        if chunk is None:
            raise StopIteration
        self._has_begun = True
        return chunk

    def prefetch(self) -> bool:
        """Take the first chunk now, so that a source that fails before it fails here.

        False if the source has nothing more for this client.
        """
        self._first = self._take()
        return not self._pipeline.nothing_more

    def close(self) -> None:
        self._first = None
        self._pipeline.leave()

    def _take(self) -> bytes | None:
        """The next chunk, once there is one; None at the end."""
        pipeline = self._pipeline
        pipeline.buffer.away_since = None
        if pipeline.lifetime.is_open:
            pipeline.start()
        batches = pipeline.batches
        while not pipeline.lifetime.has_left:
            if not batches.has_more:
                self._wait_for_source()
            chunk = pipeline.take()
            if chunk:
                return chunk
            if chunk is None and time.monotonic() >= pipeline.returns_by:
                pipeline.returns_by = inf
                return b""
        return None

    def _wait_for_source(self) -> None:
        """Until there is something to take, at once if there is; or until it is time for a look."""
        pipeline, client = self._pipeline, self._client
        timeout = pipeline.timeout()
        if client is not None:
            timeout = min(CLIENT_CHECK_INTERVAL, inf if timeout is None else timeout)
        if pipeline.wait(pipeline.is_takeable, timeout) or client is None:
            return
        try:
            left = client.has_left()
        except BaseException:
            # It is no failure that somebody would have to hear of.
            self._client = None
            self.close()
            raise
        if left:
            self.close()
