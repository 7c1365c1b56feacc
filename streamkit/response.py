"""The framework-neutral response: status, headers, and a body that is opened once."""

from collections.abc import AsyncIterable, Iterable
from contextvars import Context
from dataclasses import replace
from random import randint
from typing import Final

from werkzeug.datastructures import Headers

from streamkit import signals
from streamkit.admission import admission
from streamkit.encoders import OctetsEncoder
from streamkit.http.headers import ResponseHeaders
from streamkit.http.negotiation import Representation, without_body
from streamkit.kind import DOWNLOAD
from streamkit.metrics import StreamMetrics
from streamkit.resource import FileResource
from streamkit.stream.chunks import AsyncChunks, Chunks
from streamkit.stream.pipeline import Callback, Pipeline
from streamkit.stream.record import Record
from streamkit.stream.server_file import ServerFile

__all__ = ["StreamResponse"]

BODILESS: Final = frozenset({204, 304, 412, 416})

RETRY_AFTER: Final = (1, 10)
"""Seconds between which clients are to come back that were not let in."""


class StreamResponse:
    """What an adapter turns into a response of its framework.

    Iterate it once: with ``for`` on a thread, with ``async for`` on an event loop. The source
    starts when the first chunk is asked for.
    """

    status: int
    headers: Headers
    pipeline: Pipeline
    """What it streams through, for ``streamkit.testing``."""
    is_bodiless: bool = False
    """Whether only the head is to be sent, as ``negotiate`` found out."""

    def __init__(
        self,
        pipeline: Pipeline,
        headers: Headers,
        status: int = 200,
        representation: Representation | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.pipeline = pipeline
        self._representation = representation or Representation()
        self._admission = admission.get()
        # Once opened, it goes with its chunks.
        pipeline.abandon_with(self)

    @property
    def live(self) -> bool:
        """Whether it is for as long as its client is there, and not a whole that has an end."""
        return self.pipeline.kind.live

    @property
    def is_quick(self) -> bool:
        """Whether its source waits for nobody, and runs no code but the kit's: a file, or bytes."""
        return self.pipeline.is_quick

    @property
    def is_async(self) -> bool:
        """Whether the source can only be read asynchronously; it is streamed everywhere."""
        return self.pipeline.is_async

    def negotiate(
        self, method: str, request: Headers, status: int, headers: ResponseHeaders
    ) -> int:
        """Before it is opened, fit it to the request that it is to answer.

        ``method`` and ``request`` are the request's method and headers, ``status`` and ``headers``
        those that the native response has by now. Changes ``headers``; returns the status.
        """
        status = self._representation.select(method, request, status, headers, self.pipeline)
        self.is_bodiless = method == "HEAD" or status in BODILESS
        if status in (412, 416):
            _describe_nothing(headers)
        return self._admit(status, headers)

    def admit(self, method: str, status: int, headers: ResponseHeaders) -> int:
        """In place of ``negotiate`` if something was put around the body: it is sent as it is."""
        self.is_bodiless = method == "HEAD"
        # They would be of what was there before.
        del headers["Accept-Ranges"]
        return self._admit(status, headers)

    def decline(self, headers: ResponseHeaders) -> int:
        """The source raised ``NothingMore``: change ``headers``, and return the status."""
        self.is_bodiless = True
        without_body(headers)
        return 204

    def _admit(self, status: int, headers: ResponseHeaders) -> int:
        if not self.is_bodiless and not self._enters():
            status = self._reject(headers)
        if self.is_bodiless:
            self.close()
        return status

    def _enters(self) -> bool:
        """Whether another stream may begin."""
        if signals.is_shut_down():
            return False
        admission = self._admission
        if admission is None:
            return True
        if not admission.enter():
            return False
        self.pipeline.call_on_close(lambda _: admission.leave())
        return True

    def _reject(self, headers: ResponseHeaders) -> int:
        self.pipeline.reject()
        self.is_bodiless = True
        without_body(headers)
        for name in ("Accept-Ranges", "ETag", "Last-Modified"):
            del headers[name]
        headers["Retry-After"] = str(randint(*RETRY_AFTER))
        _describe_nothing(headers)
        return 503

    @property
    def file(self) -> FileResource | None:
        """The file that the body is the whole of, if it is and a request was negotiated."""
        file = self._representation.file
        return file if file is not None and file.is_whole else None

    def server_file(self) -> ServerFile:
        """Instead of chunks, ``file`` for the server to send by itself.

        Raises RuntimeError if there is none, or if the body was opened before.
        """
        if self.file is None:
            raise RuntimeError("this body is not the whole of a file")
        return ServerFile(self.file, self.pipeline)

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
        return self.pipeline.context

    @property
    def encoder_context(self) -> Context:
        """The other copy, that ``serialize`` runs in."""
        return self.pipeline.encoder_context

    def make_inline(self) -> None:
        """Before it is opened, keep its sync source on the thread of its consumer."""
        self.pipeline.make_inline()

    def call_on_close(self, callback: Callback) -> None:
        """Call ``callback`` once, when the stream is over and its source closed.

        It is passed the exception that ended the stream, or None, and runs in ``context``, on the
        thread or task of whichever side left last.
        """
        self.pipeline.call_on_close(callback)

    def __iter__(self) -> Chunks:
        """The chunks, for this thread. Raises RuntimeError the second time."""
        return Chunks(self.pipeline)

    def __aiter__(self) -> AsyncChunks:
        """The chunks, for the running loop. Raises RuntimeError the second time."""
        return AsyncChunks(self.pipeline)

    def close(self) -> None:
        """The response is not wanted, or no longer: close its source. Idempotent."""
        self.pipeline.abandon()


def _describe_nothing(headers: ResponseHeaders) -> None:
    # Checkers of PEP 3333 ask for a type even so.
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["Content-Length"] = "0"
