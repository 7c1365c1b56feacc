"""Source, pump, buffer and encoder put together."""

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, suppress
from contextvars import ContextVar, copy_context
from math import inf
from random import randint, uniform
from typing import Any, Final, TypeVar

from streamkit import signals
from streamkit.encoders import Encoder
from streamkit.errors import NothingMore
from streamkit.kind import Kind
from streamkit.metrics import Outcome
from streamkit.source import Inline, Source
from streamkit.stream.background import background_loop
from streamkit.stream.buffer import Buffer
from streamkit.stream.pump import InlinePump, Pump, TaskPump, ThreadPump
from streamkit.stream.record import Record
from streamkit.stream.wake import LoopSignal, Signal, ThreadSignal, running_loop

__all__ = ["Callback", "Pipeline", "follower", "joined"]

CHUNK_BYTES: Final = 64 * 1024
"""Up to this size small pieces are joined into one chunk; a larger piece goes out as it is."""

CHUNK_PIECES: Final = 128
"""So many pieces are joined at the most: a batch of small elements is one chunk, while joining many
more costs a page fault for each that was allocated by itself.
"""

HEAD_PATIENCE: Final = 0.1
"""Seconds that a live stream waits for a first element before a heartbeat carries its head.

Many servers hold the head back until there is a chunk to send with it.
"""

RETRY: Final = (1_000, 10_000)
"""Milliseconds between which the clients come back whose streams are ended.

Each at a time of its own, so that they do not all come at once.
"""

_END: Final = object()

S = TypeVar("S", bound=Signal)

Callback = Callable[[BaseException | None], object]

follower: ContextVar[Callable[["Pipeline"], object]] = ContextVar(
    "streamkit.follower", default=lambda pipeline: None
)
"""Is shown each pipeline that is opened in its context. ``streamkit.testing`` finds them so."""


class Pipeline:
    """One stream, from its source to its chunks. Opened once, for a thread or for a loop.

    It is over when both sides have left: the pump, which has closed the source, and the consumer,
    which has taken the last chunk or gone away. Everything here is called by the consumer, but for
    ``abandon``, which any thread may call, and what the pump calls when it leaves.
    """

    buffer: Buffer
    over: bool = False
    """Whether the consumer has left, or been made to."""
    completed: bool = False
    """Whether it took the last chunk first."""
    hurry: Callable[[], None] | None = None
    """Tells a consumer that is away that the stream is retired."""
    back_at: float = inf
    """When, by ``time.monotonic()``, a ``take`` that finds nothing is to give ``b""``, once."""

    def __init__(
        self,
        kind: Kind,
        source: Iterable[Any] | AsyncIterable[Any] | Inline[Any],
        encoder: Encoder,
        record: Record,
    ) -> None:
        self.kind = kind
        self.context = copy_context()
        # The user's serialize runs beside the source, and a context is entered once at a time.
        self.encoder_context = copy_context()
        self._source = Source(source)
        self.encoder = encoder
        self._record = record
        self._callbacks: list[Callback] = []
        self._chunks = self._encode()
        self._begin = b""
        self._heartbeat_at: float | None = None
        self._silent = True
        self._retires_at = inf
        self._end: Outcome = "completed"
        self._raised: BaseException | None = None
        self._pump: Pump
        self._source_error: BaseException | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        # Reentrant, as the garbage collector may abandon a stream anywhere.
        self._lock = threading.RLock()
        self._opened = False
        self._closed = False
        # A pop from a list is atomic: of all the threads that claim, one succeeds.
        self._unstarted = ["pump"]
        self._staying = ["consumer"]
        self._sides = ["last", "first"]

    def carry(self, source: Iterable[Any] | AsyncIterable[Any], encoder: Encoder) -> None:
        """Before it is opened, stream another ``source``, which closes what the first would."""
        self._source = Source(source)
        self.encoder = encoder

    @property
    def is_quick(self) -> bool:
        """Whether the source waits for nobody."""
        return self._source.is_quick

    @property
    def is_async(self) -> bool:
        """Whether the source can only be read asynchronously."""
        return self._source.reads_async(on_loop=False)

    def make_inline(self) -> None:
        """Keep a source that is not opened yet, and not async, on the thread of its consumer."""
        self._source.inline = True

    def call_on_close(self, callback: Callback) -> None:
        """Call ``callback`` once the stream is over, in the context that the source ran in."""
        with self._lock:
            if not self._closed:
                self._callbacks.append(callback)
                return
        self.context.run(callback, None)

    def abandon_with(self, owner: object) -> None:
        """Abandon it when ``owner`` is collected, unless the consumer has left by then."""
        if self._finalizer is not None:
            self._finalizer.detach()
        self._finalizer = weakref.finalize(owner, self._lose_owner)
        self._finalizer.atexit = False

    def _lose_owner(self) -> None:
        if self._unstarted or self._source.inline:
            self.abandon()
        else:
            # The collector may come by while this thread holds a lock that is wanted for it, such
            # as a metric's.
            threading.Thread(target=self.abandon, daemon=True).start()

    def open_for_thread(self) -> ThreadSignal | InlinePump:
        """Connect a thread as the consumer; return what it waits for.

        Raises RuntimeError if the pipeline was opened before.
        """
        return self._open(self._connect_thread)

    def open_for_loop(self, loop: asyncio.AbstractEventLoop) -> LoopSignal:
        """Connect a task of ``loop`` as the consumer; return what it waits for.

        Raises RuntimeError if the pipeline was opened before, or if an inline source would block
        ``loop``: that source is closed.
        """
        if refusal := self._source.refusal():
            self.abandon()
            raise RuntimeError(refusal)
        return self._open(lambda: self._connect_loop(loop))

    def _open(self, connect: Callable[[], S]) -> S:
        with self._lock:
            if self._opened:
                raise RuntimeError("a streaming response can be iterated only once")
            signal = connect()
            self._opened = True
            follower.get()(self)
            return signal

    def _connect_thread(self) -> ThreadSignal | InlinePump:
        if self._source.inline or self.is_quick:
            pump = InlinePump(self._source, self.kind, self.context, self._pump_leaves)
            self._pump, self.buffer = pump, pump.buffer
            return pump
        readable = ThreadSignal()
        self._connect(readable, background_loop() if self.is_async else None)
        return readable

    def _connect_loop(self, loop: asyncio.AbstractEventLoop) -> LoopSignal:
        readable = LoopSignal(loop)
        self._connect(readable, loop if self._source.reads_async(on_loop=True) else None)
        return readable

    def _connect(self, readable: Signal, pump_loop: asyncio.AbstractEventLoop | None) -> None:
        """Put a buffer and the pump, a task of ``pump_loop`` or a thread, before the consumer."""
        if pump_loop is None:
            writable = ThreadSignal()
            self.buffer = Buffer(self.kind, readable, writable)
            self._pump = ThreadPump(
                self._source, self.buffer, writable, self.context, self._pump_leaves
            )
        else:
            loop_writable = LoopSignal(pump_loop)
            self.buffer = Buffer(self.kind, readable, loop_writable)
            self._pump = TaskPump(
                self._source, self.buffer, loop_writable, self.context, self._pump_leaves, pump_loop
            )

    def open_for_server(self) -> None:
        """Connect a server that sends all of it by itself; ``server_sent`` follows.

        Raises RuntimeError if the pipeline was opened before.
        """
        self._open(self._connect_thread)
        self._record.open()

    def server_sent(self, size: int, outcome: Outcome, raised: BaseException | None = None) -> None:
        """The server has sent ``size`` bytes, and sends no more. Idempotent."""
        if not self.over:
            self._record.server_sent(size)
            self._leave(outcome, raised)

    def reject(self) -> None:
        """It will not be opened: there is no room for it."""
        self._record.reject()

    def take(self) -> bytes | None:
        """The next chunk, or None: then either it is ``over``, or a matter of waiting.

        Raises what the source or the encoder raised, after the chunks before it.
        """
        # Looked at first: to fail to claim is an exception, and this is asked once a chunk.
        if self._unstarted and _claim(self._unstarted):
            self._start()
        try:
            chunk = self.encoder_context.run(next, self._chunks, _END)
        except BaseException as error:
            if self._is_nothing_more(error):
                self._leave("completed", raised=error)
                if not self._record.has_sent:
                    raise
                self.completed = True
                return None
            self._leave("failed", raised=error)
            if isinstance(error, StopAsyncIteration):
                # It would pass for the end of the chunks (cf. PEP 479).
                raise RuntimeError("a source or serializer raised StopAsyncIteration") from error
            raise
        finally:
            if self.over:
                self._let_go()
        if isinstance(chunk, bytes):
            self._record.chunk(chunk)
            self.buffer.hand_over()
            return chunk
        if chunk is _END:
            self.completed = True
            self._leave(self._end)
        elif time.monotonic() >= self.back_at:
            self.back_at = inf
            return b""
        return None

    def timeout(self) -> float | None:
        """Seconds until the consumer must ``take`` again even if nothing was offered."""
        heartbeat_at = inf if self._heartbeat_at is None else self._heartbeat_at
        due = min(heartbeat_at, self.back_at)
        return None if due == inf else max(0.0, due - time.monotonic())

    def beat(self) -> None:
        """The heartbeat is due now, if the kind has one: a consumer that waits is woken for it."""
        if self.kind.heartbeat is not None:
            self._heartbeat_at = time.monotonic()
            self.buffer.readable.notify()

    def retire(self) -> None:
        """End it in good order, as soon as its consumer comes back. From any thread."""
        self._retires_at = -inf
        self.buffer.readable.notify()
        if self.hurry is not None:
            self.hurry()

    def takeable(self) -> bool:
        """Whether a ``take`` now is not just a matter of waiting."""
        return self.buffer.readable_now() or self._retires_at < 0 or self.timeout() == 0

    def abandon(self) -> None:
        """The consumer is gone: nobody will take another chunk. Idempotent, from any thread.

        If there never was a consumer, the source is closed all the same.
        """
        with self._lock:
            if not self._opened:
                if (loop := running_loop()) and not self._source.refusal():
                    self._connect_loop(loop)
                else:
                    self._connect_thread()
                self._opened = True
                follower.get()(self)
        self._leave("disconnected")

    def _start(self) -> None:
        self._record.open()
        if self.kind.heartbeat is not None:
            self._heartbeat_at = time.monotonic() + min(HEAD_PATIENCE, self.kind.heartbeat)
        if self.kind.max_age is not None:
            self._retires_at = time.monotonic() + self.kind.max_age * uniform(0.9, 1.1)
            signals.enter(self)
        try:
            self._pump.start()
        except BaseException as error:
            # No thread to be had.
            self.buffer.abandon()
            self._pump.discard()
            self._leave("failed", raised=error)
            raise

    def _encode(self) -> Generator[bytes | None, None, None]:
        """Drain, encode and join for as long as there is something; None when there is not."""
        buffer, encoder, record = self.buffer, self.encoder, self._record
        self._begin = encoder.begin()
        told = 0
        while True:
            # Looked at before the drain: what is offered or dropped meanwhile belongs to the next.
            ended = buffer.ended
            dropped = buffer.dropped
            gap, told = dropped - told, dropped
            batch = buffer.drain()
            record.add(buffer.offered, buffer.dropped)
            if ended and not batch and not gap:
                break
            retires = time.monotonic() >= self._retires_at
            beats = self._beats(bool(batch)) and not retires
            if not batch and not gap and not beats and not retires:
                yield None
                continue
            try:
                yield from joined(self._pieces(gap, batch, beats, retires))
            finally:
                if encoder.refused:
                    record.refuse(encoder.refused)
                    encoder.refused.clear()
            if retires:
                self._end = "drained"
                break
        if buffer.error is not None and self._end == "completed":
            raise buffer.error
        yield from joined(iter((self._begin + encoder.end(),)))

    def _is_nothing_more(self, error: BaseException | None) -> bool:
        """Whether this is how the source of a live stream ends, and no failure."""
        return self.kind.live and isinstance(error, NothingMore)

    def _beats(self, speaks: bool) -> bool:
        """Whether it is time for a heartbeat; a stream that ``speaks`` needs no early first one."""
        if self._heartbeat_at is None or self.kind.heartbeat is None:
            return False
        now = time.monotonic()
        beats = now >= self._heartbeat_at
        if beats or (speaks and self._silent):
            self._heartbeat_at = now + self.kind.heartbeat
            self._silent = False
        return beats

    def _pieces(self, gap: int, batch: list[Any], beats: bool, retires: bool) -> Iterator[bytes]:
        if gap:
            yield self.encoder.comment(f"dropped {gap}")
        for piece in self.encoder.encode(batch) if batch else ():
            # What begins the body waits for a first element: one that fails can still be a 500.
            begin, self._begin = self._begin, b""
            yield begin + piece
        if beats:
            yield self.encoder.comment("heartbeat")
        if retires:
            yield self.encoder.retry(randint(*RETRY))

    def _leave(self, outcome: Outcome, raised: BaseException | None = None) -> None:
        """The consumer leaves; ``raised`` is what it was told."""
        if not _claim(self._staying):
            return
        self.over = True
        self._record.outcome = outcome
        self._raised = raised
        if self._finalizer is not None:
            self._finalizer.detach()
        self.buffer.abandon()
        self._let_go()
        if _claim(self._unstarted):
            self._pump.discard()
        elif not self.buffer.ended:
            self._pump.stop()
        if self._sides.pop() == "last":
            self.context.run(self._close, self._source_error)

    def _let_go(self) -> None:
        """Free the batch in hand, unless another thread is encoding it: that one comes by here."""
        with suppress(ValueError):
            self._chunks.close()

    def _pump_leaves(self, error: BaseException | None) -> None:
        self._source_error = error
        last = self._sides.pop() == "last"
        try:
            if last:
                self.context.run(self._close, error)
        finally:
            self.buffer.end(None if self.over else error)

    def _close(self, error: BaseException | None) -> None:
        """Both sides have left; ``error`` is the source's."""
        signals.leave(self)
        self._record.add(self.buffer.offered, self.buffer.dropped)
        self._record.close(self.encoder.repaired)
        failure = self._raised or error
        if self._is_nothing_more(failure):
            failure = None
        elif error is not None and error is not self._raised:
            self._record.lose(error)
        with self._lock:
            self._closed = True
            callbacks, self._callbacks = self._callbacks, []
        # All of these lead back to this pipeline, and so to the source, which might be a large list
        # and is not to wait for the garbage collector.
        self._raised = self._source_error = self.buffer.error = None
        del self._pump
        with ExitStack() as stack:
            for callback in callbacks:
                stack.callback(callback, failure)


def joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Non-empty chunks of the same bytes. A failure comes after the pieces before it."""
    waiting: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            if waiting and (size + len(piece) > CHUNK_BYTES or len(waiting) == CHUNK_PIECES):
                yield b"".join(waiting)
                waiting.clear()
                size = 0
            if len(piece) >= CHUNK_BYTES:
                yield piece
            elif piece:
                waiting.append(piece)
                size += len(piece)
    except Exception:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


def _claim(tokens: list[str]) -> bool:
    try:
        tokens.pop()
    except IndexError:
        return False
    return True
