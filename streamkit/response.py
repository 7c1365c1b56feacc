"""The framework-neutral response: status, headers, and a body that is opened once."""

from collections.abc import AsyncIterable, Iterable
from contextvars import Context
from dataclasses import replace

from werkzeug.datastructures import Headers

from streamkit.encoders import OctetsEncoder
from streamkit.kind import DOWNLOAD
from streamkit.metrics import StreamMetrics
from streamkit.pipeline import AsyncChunks, Callback, Chunks, Pipeline
from streamkit.record import Record

__all__ = ["StreamResponse"]


class StreamResponse:
    """What an adapter turns into a response of its framework.

    Iterate it once: with ``for`` on a thread, with ``async for`` on an event loop. The source
    starts when the first chunk is asked for.
    """

    status: int
    headers: Headers

    def __init__(self, pipeline: Pipeline, headers: Headers, status: int = 200) -> None:
        self.status = status
        self.headers = headers
        self._pipeline = pipeline
        # Once opened, it goes with its chunks.
        pipeline.abandon_with(self)

    @property
    def live(self) -> bool:
        """Whether the head goes out at once, and not with the first chunk."""
        return self._pipeline.kind.live

    @property
    def is_async(self) -> bool:
        """Whether the source can only be read asynchronously; it is streamed everywhere."""
        return self._pipeline.is_async

    def around(self, content: Iterable[bytes] | AsyncIterable[bytes]) -> "StreamResponse":
        """A response with the same head around ``content``, which a middleware made of this one.

        It lets sync content be streamed on a loop, and async content on a thread.
        """
        kind = replace(DOWNLOAD, live=self.live)
        record = Record(kind, "middleware", "system", StreamMetrics())
        pipeline = Pipeline(kind, content, OctetsEncoder(), record)
        return StreamResponse(pipeline, self.headers, self.status)

    @property
    def context(self) -> Context:
        """The copy of the caller's context that all of the source runs in."""
        return self._pipeline.context

    @property
    def encoder_context(self) -> Context:
        """The other copy, that ``serialize`` runs in."""
        return self._pipeline.encoder_context

    def make_inline(self) -> None:
        """Before it is opened, keep its sync source on the thread of its consumer."""
        self._pipeline.make_inline()

    def call_on_close(self, callback: Callback) -> None:
        """Call ``callback`` once, when the stream is over and its source closed.

        It is passed the exception that ended the stream, or None, and runs in ``context``, on the
        thread or task of whichever side left last.
        """
        self._pipeline.call_on_close(callback)

    def __iter__(self) -> Chunks:
        """The chunks, for this thread. Raises RuntimeError the second time."""
        return Chunks(self._pipeline)

    def __aiter__(self) -> AsyncChunks:
        """The chunks, for the running loop. Raises RuntimeError the second time."""
        return AsyncChunks(self._pipeline)

    def close(self) -> None:
        """The response is not wanted, or no longer: close its source. Idempotent."""
        self._pipeline.abandon()
