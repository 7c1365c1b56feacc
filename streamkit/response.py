"""The framework-neutral response: a plan, and headers, until a request is there to be answered."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from contextvars import Context
from dataclasses import replace
from functools import partial
from random import randint
from typing import Any, Final, TypeVar

from werkzeug.datastructures import Headers

from streamkit import signals
from streamkit.admission import limits
from streamkit.encoders import OctetsEncoder, SSEEncoder
from streamkit.feed import Subscribable
from streamkit.http.events import is_event_source
from streamkit.http.headers import ResponseHeaders
from streamkit.http.negotiation import (
    BODILESS,
    Answer,
    Negotiator,
    describe_no_body,
    describe_rejection,
    without_body,
)
from streamkit.kind import DOWNLOAD
from streamkit.loop import asyncio_loop, running_loop
from streamkit.lost import look_for_lost, lose
from streamkit.metrics import StreamMetrics
from streamkit.neutral import Neutral
from streamkit.once import Once
from streamkit.plan import Plan
from streamkit.reply import Reply
from streamkit.request import Client, Request
from streamkit.source import Inline, Source
from streamkit.stream.async_chunks import AsyncChunks, Departure
from streamkit.stream.batches import RETRY
from streamkit.stream.chunks import Chunks
from streamkit.stream.pipeline import AsyncWait, Pipeline, Wait, follower, on_loop, on_thread
from streamkit.stream.record import Record
from streamkit.stream.server_file import FileStream, ServerFile
from streamkit.stream.setting import Callback, Setting
from streamkit.stream.turn import Portions
from streamkit.stream.unread import Unread
from streamkit.tracing import StreamSpan

__all__ = ["StreamResponse"]

PORTION: Final = 10
"""How many responses begin on a loop before what else there is for it has a turn.

A judgement: to begin takes some 300 microseconds each, and so others wait for a few milliseconds
when thousands of clients come back at once.
"""

_beginning: Final = Portions(PORTION)

C = TypeVar("C")
S = TypeVar("S", "Pipeline[Wait]", "Pipeline[AsyncWait]", FileStream)


class StreamResponse(Neutral):
    """What an adapter turns into a response of its framework.

    An adapter answers with it by ``begin`` on a thread, or ``abegin`` on an event loop. Tests and
    jobs iterate it: with ``for`` on a thread, with ``async for`` on an event loop. Either is done
    once. The source starts when the first chunk is asked for.
    """

    # Without a __dict__, of which FastAPI would make JSON (see Neutral).
    __slots__ = (
        "__weakref__",
        "_answers",
        "_is_closed",
        "_limits",
        "_negotiate",
        "_opens",
        "_plan",
        "_setting",
        "_stream",
        "headers",
        "is_compressed",
        "is_inline",
        "live",
        "never_waits",
        "status",
    )

    status: int
    headers: Headers

    def __init__(
        self,
        plan: Plan,
        headers: Headers,
        negotiator: Negotiator,
        record: Record,
        status: int = 200,
    ) -> None:
        self.status = status
        self.headers = headers
        self.live = plan.kind.live
        """Whether it is for as long as its client is there, and not a whole that has an end."""
        self.never_waits = Source(plan.source).never_waits
        """Whether no step of its source waits, nor runs code but the kit's: a file, or bytes."""
        self.is_inline = isinstance(plan.source, Inline)
        """Whether its source was marked to stay on its consumer's thread."""
        self.is_compressed = plan.encoder.is_compressed
        """Whether its format is compressed by itself: a framework should not do so again."""
        # None once it is opened or closed: who keeps a response does not keep what it streamed.
        self._plan: Plan | None = plan
        self._negotiate: Callable[..., Answer] | None = negotiator.negotiate
        self._setting = Setting(record)
        self._limits = limits.get()
        self._answers = Once()
        self._opens = Once()
        self._stream: Pipeline[Any] | FileStream | None = None
        self._is_closed = False
        look_for_lost()

    def __del__(self) -> None:
        # Once it is opened, it is lost with its chunks.
        plan = self._claim()
        if plan is not None:
            lose(partial(self._close_unread, plan, running_loop()))

    @property
    def context(self) -> Context:
        """The copy of the caller's context that all of the source runs in."""
        return self._setting.context

    @property
    def encoder_context(self) -> Context:
        """The other copy, that ``serialize`` runs in."""
        return self._setting.encoder_context

    @property
    def pipeline(self) -> Pipeline[Any] | None:
        """What it streams through once it is opened, for ``streamkit.testing``."""
        return self._stream if isinstance(self._stream, Pipeline) else None

    def call_on_close(self, callback: Callback) -> None:
        """Call ``callback`` once, when the stream is over and its source closed.

        It is passed the exception that ended the stream, or None, and runs in ``context``, on the
        thread or task of whichever side left last.
        """
        self._setting.call_on_close(callback)

    def begin(
        self, request: Request, status: int, headers: ResponseHeaders
    ) -> Reply[Chunks | ServerFile | bytes]:
        """Answer ``request`` on this thread, up to the first chunk.

        ``status`` and ``headers`` are those that the native response has by now; ``headers`` are
        changed to those of the answer. The body of the reply is what the server iterates and
        closes: ``Chunks``, or a ``ServerFile`` if the server sends files and this is one. It is
        bytes where there is no stream: none to HEAD, for 204, 304, 412 and 416, and for 503 where
        there is no room for another stream; and a few for a browser's ``EventSource`` then, which a
        503 would end for good.

        Raises what the source or the encoder raises before the first chunk: then the stream is
        closed. Raises RuntimeError, and changes nothing, the second time.
        """
        self._claim_answer()
        try:
            answer, body = self._answer(request, status, headers)
            if answer.plan is None or body:
                return Reply(answer.status, body, self.close)
            chunks = self._chunks(answer.plan, request.client, inline=request.inline)
            if chunks.prefetch():
                return Reply(answer.status, chunks, self.close)
            return self._nothing_more(headers)
        except BaseException:
            self.close()
            raise

    async def abegin(
        self, request: Request, status: int, headers: ResponseHeaders
    ) -> Reply[AsyncChunks | ServerFile | bytes]:
        """``begin`` on the running loop: the body is ``AsyncChunks``.

        Or a ``ServerFile``, for a server that sends files by their path. Raises RuntimeError as
        well on a loop that is not asyncio's. Of many that begin at the same time, it waits for
        those before it.
        """
        self._claim_answer()
        await self._turn()
        try:
            answer, body = self._answer(request, status, headers)
            if answer.plan is None or body:
                return Reply(answer.status, body, self.close)
            chunks = self._async_chunks(answer.plan, request.departure, has_body=request.has_body)
            try:
                if await chunks.prefetch():
                    return Reply(answer.status, chunks, self.close)
            except BaseException:
                await chunks.aclose()
                raise
            await chunks.aclose()
            return self._nothing_more(headers)
        except BaseException:
            self.close()
            raise

    def begin_around(
        self, content: C, request: Request, status: int, headers: ResponseHeaders
    ) -> Reply[C | bytes]:
        """In place of ``begin`` if ``content`` was put around the body of this response.

        Or instead of it. It is sent as it is, if there is room, and opens this response when it is
        iterated.
        """
        self._claim_answer()
        # It would be of what was there before.
        del headers["Accept-Ranges"]
        try:
            if request.method == "HEAD":
                self.close()
                return Reply(status, b"", self.close)
            rejection = self._enter_or_reject(request, headers)
            if rejection is not None:
                return Reply(*rejection, self.close)
            return Reply(status, content, self.close)
        except BaseException:
            self.close()
            raise

    def around(self, content: Iterable[bytes] | AsyncIterable[bytes]) -> "StreamResponse":
        """A response around ``content``, which a middleware made of this one.

        It lets sync content be streamed on a loop, and async content on a thread.
        """
        kind = replace(DOWNLOAD, live=self.live)
        plan = Plan(kind, content, OctetsEncoder())
        record = Record(kind, "middleware", "system", StreamMetrics(), StreamSpan())
        return StreamResponse(plan, self.headers, Negotiator(), record, self.status)

    def __iter__(self) -> Chunks:
        """The chunks, for this thread. Raises RuntimeError the second time."""
        return self.chunks()

    def chunks(self, *, inline: bool = False) -> Chunks:
        """The same; with ``inline`` a sync source stays on this thread."""
        return self._chunks(self._planned(), inline=inline)

    def __aiter__(self) -> AsyncChunks:
        """The chunks, for the running loop. Raises RuntimeError the second time."""
        return self._async_chunks(self._planned())

    def close(self) -> None:
        """The response is not wanted, or no longer: close its source. Idempotent."""
        self._is_closed = True
        plan = self._claim()
        if plan is not None:
            self._close_unread(plan)
        elif self._stream is not None:
            self._stream.leave()

    def _claim_answer(self) -> None:
        if not self._answers():
            raise RuntimeError("a streaming response answers only one request")

    async def _turn(self) -> None:
        """Wait for the turn of this response, if many begin on the running loop at once.

        One that is dropped meanwhile is lost like any other, and is not closed by a finalizer.
        """
        loop = running_loop()
        waiter = None if loop is None else _beginning.waiter(loop)
        if waiter is None:
            return
        try:
            await waiter
        except asyncio.CancelledError:
            self.close()
            raise

    def _answer(
        self, request: Request, status: int, headers: ResponseHeaders
    ) -> tuple[Answer, ServerFile | bytes]:
        """What is to be sent, if there is room for it, and the body if that is no stream.

        Without a stream, this one is closed.
        """
        method, plan, negotiate = request.method, self._planned(), self._negotiate
        assert negotiate is not None
        answer = negotiate(plan, method, request.headers, status, headers)
        if method == "HEAD" or answer.status in BODILESS:
            describe_no_body(answer.status, headers)
            self.close()
            return Answer(answer.status, None), b""
        rejection = self._enter_or_reject(request, headers)
        if rejection is not None:
            status, body = rejection
            return Answer(status, None), body
        if request.has_siblings and isinstance(plan.source, Subscribable):
            plan.source.tell_of_siblings()
        file = answer.file
        if file is None:
            return answer, b""
        # To look whether the same file is still there asks the system.
        path = file.path if request.sends_paths else None
        if not (request.sends_files or path):
            return answer, b""
        return answer, ServerFile(self._open(lambda: FileStream(file, self._setting)), path)

    def _enter_or_reject(
        self, request: Request, headers: ResponseHeaders
    ) -> tuple[int, bytes] | None:
        """None if the stream may begin; else it is closed, and this status and body are sent.

        While the process ends, no live stream begins any more; the server says when it takes no
        other requests. A browser's EventSource does not come back from an error: it is sent an
        empty stream that says when to.
        """
        # The callback must not lead to this response, which could then not be collected by itself.
        limits, record = self._limits, self._setting.record
        max_streams = limits.max_streams
        if max_streams is not None:
            record.limit(max_streams)
        if not (self.live and signals.is_shut_down()) and limits.enter():
            if max_streams is not None:
                self._setting.call_on_settling(lambda _: limits.give_back())
            return None
        record.reject()
        self.close()
        if self.live and is_event_source(request.headers):
            return 200, SSEEncoder().retry(randint(*RETRY))
        describe_rejection(headers)
        return 503, b""

    def _nothing_more(self, headers: ResponseHeaders) -> Reply[bytes]:
        without_body(headers)
        return Reply(204, b"", self.close)

    def _chunks(
        self,
        plan: Plan,
        client: Callable[[bool], Client | None] | None = None,
        *,
        inline: bool = False,
    ) -> Chunks:
        pipeline = self._open(lambda: on_thread(plan, self._setting, inline=inline))
        return Chunks(pipeline, client and client(self.live))

    def _async_chunks(
        self, plan: Plan, departure: Departure | None = None, *, has_body: bool = False
    ) -> AsyncChunks:
        loop = asyncio_loop()
        pipeline = self._open(lambda: on_loop(plan, self._setting, loop))
        return AsyncChunks(pipeline, departure, watches_late=has_body)

    def _planned(self) -> Plan:
        if self._plan is None:
            raise RuntimeError("a streaming response can be iterated only once")
        return self._plan

    def _claim(self) -> Plan | None:
        """The plan, for the first who opens the stream or closes it unread."""
        if not self._opens():
            return None
        plan, self._plan, self._negotiate = self._plan, None, None
        return plan

    def _open(self, open: Callable[[], S]) -> S:
        plan = self._claim()
        if plan is None:
            raise RuntimeError("a streaming response can be iterated only once")
        try:
            stream = self._stream = open()
        except BaseException:
            self._close_unread(plan)
            raise
        if self._is_closed:
            # By another thread, which came before there was a stream to leave.
            stream.leave()
        return stream

    def _close_unread(self, plan: Plan, loop: asyncio.AbstractEventLoop | None = None) -> None:
        unread = Unread(Source(plan.source), self._setting)
        follower.get()(unread)
        unread.close(loop)
