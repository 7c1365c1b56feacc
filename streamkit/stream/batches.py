"""Everything that is ready at a time, encoded as one batch and joined into chunks."""

import time
from collections.abc import Callable, Generator, Iterator
from math import inf
from random import randint, uniform
from typing import Any, Final, Literal

from streamkit.encoders import Encoder
from streamkit.kind import Kind
from streamkit.stream.buffer import Buffer
from streamkit.stream.record import Record

__all__ = ["CHUNK_BYTES", "Agenda", "Batches", "joined"]

CHUNK_BYTES: Final = 64 * 1024
"""Up to this size small pieces are joined into one chunk; a larger piece goes out as it is.

A judgement: 64 KiB are what asyncio's transports and uvicorn hold before they let whoever sends
wait. Smaller chunks would cost more calls for the same bytes, larger ones more memory a stream.
"""

CHUNK_PIECES: Final = 128
"""So many pieces are joined at the most.

As many as the rows that the buffer of an export holds, so that a batch of small elements is one
chunk: to join many more costs a page fault for each piece, which was allocated by itself.
"""

FIRST_HEARTBEAT: Final = 0.1
"""Seconds that a live stream waits for a first element before a heartbeat carries its head.

Many servers hold the head back until there is a chunk to send with it. A judgement: a client takes
a tenth of a second for at once, and a source that has something to begin with is heard by then.
"""

AGE_SPREAD: Final = 0.1
"""The part of a maximum age by which a stream may be older or younger when it is retired.

A judgement: clients that all came at once come back over twelve minutes, and to whoever plans with
an hour it still is one.
"""

RETRY: Final = (1_000, 10_000)
"""Milliseconds between which the clients come back whose streams are retired.

Each of them has a time of its own, so that they do not all come at once. A judgement, about the
"few seconds" that WHATWG HTML, 9.2.2, has browsers begin with: one second at the least for the next
process to listen, and ten at the most for somebody who looks at the page.
"""


class Agenda:
    """When a stream is to send a heartbeat and when to retire, by a ``clock`` in seconds.

    A stream of a kind that has neither a heartbeat nor a maximum age is never due.
    """

    __slots__ = ("_clock", "_heartbeat", "_heartbeat_at", "_is_silent", "_max_age", "_retires_at")

    def __init__(self, kind: Kind, clock: Callable[[], float] = time.monotonic) -> None:
        self._heartbeat = kind.heartbeat
        self._max_age = kind.max_age
        self._clock = clock
        self._heartbeat_at = inf
        self._retires_at = inf
        self._is_silent = True

    def begin(self) -> None:
        """The first chunk is asked for. A stream that was retired before stays so."""
        now = self._clock()
        if self._heartbeat is not None:
            self._heartbeat_at = now + min(FIRST_HEARTBEAT, self._heartbeat)
        if self._max_age is not None:
            age = self._max_age * uniform(1 - AGE_SPREAD, 1 + AGE_SPREAD)
            self._retires_at = min(self._retires_at, now + age)

    def beat(self) -> None:
        """Let the heartbeat be due now, if there is one."""
        if self._heartbeat is not None:
            self._heartbeat_at = self._clock()

    def retire(self) -> None:
        """Let the stream be old enough now."""
        self._retires_at = -inf

    @property
    def is_retired(self) -> bool:
        """Whether ``retire`` was called: its consumer is to come for the end at once."""
        return self._retires_at == -inf

    def retires(self) -> bool:
        """Whether the stream is old enough now, so that this batch is its last."""
        return self._retires_at < inf and self._clock() >= self._retires_at

    def is_heartbeat_due(self, has_elements: bool) -> bool:
        """Whether a heartbeat is to be sent now: then the next is due one interval later.

        A stream that ``has_elements`` to send needs no early first one.
        """
        if self._heartbeat is None or self._heartbeat_at == inf:
            return False
        now = self._clock()
        is_due = now >= self._heartbeat_at
        if is_due or (has_elements and self._is_silent):
            self._heartbeat_at = now + self._heartbeat
            self._is_silent = False
        return is_due

    def timeout(self, until: float = inf) -> float | None:
        """Seconds that a consumer may wait for an element, and not beyond the time ``until``.

        None: for as long as it takes.
        """
        due = min(self._heartbeat_at, until)
        return None if due == inf else max(0.0, due - self._clock())


class Batches:
    """What is drained from ``buffer``, with the heartbeats and the end that ``agenda`` asks for.

    ``chunks`` gives non-empty chunks, and None when there is nothing to take. It ends with the
    source, or as the stream retires, and then ``outcome`` says which. It raises what the source
    raised, after the chunks before it, and what the encoder raises. Nothing that it gives after the
    buffer was abandoned is to be sent: whoever abandons takes elements away as well.
    """

    def __init__(self, buffer: Buffer, encoder: Encoder, agenda: Agenda, record: Record) -> None:
        self._buffer = buffer
        self._encoder = encoder
        self._agenda = agenda
        self._record = record
        self._begin = b""
        self.outcome: Literal["completed", "retired"] = "completed"
        self.chunks = self._encode()

    def close(self) -> None:
        """Free the batch in hand."""
        self.chunks.close()

    def _encode(self) -> Generator[bytes | None, None, None]:
        buffer, encoder, record = self._buffer, self._encoder, self._record
        self._begin = encoder.begin()
        dropped_told = 0
        while True:
            # The counts are read before the drain, since whatever is offered or dropped during it
            # belongs to the next batch.
            ended = buffer.ended
            dropped = buffer.dropped
            newly_dropped, dropped_told = dropped - dropped_told, dropped
            batch = buffer.drain()
            record.add(buffer.offered, buffer.dropped)
            if ended and not batch and not newly_dropped:
                break
            retires = self._agenda.retires()
            has_heartbeat = self._agenda.is_heartbeat_due(bool(batch)) and not retires
            if not batch and not newly_dropped and not has_heartbeat and not retires:
                yield None
                continue
            try:
                yield from joined(self._pieces(newly_dropped, batch, has_heartbeat, retires))
            finally:
                if encoder.refused:
                    record.refuse(encoder.refused)
                    encoder.refused.clear()
            if retires:
                self.outcome = "retired"
                break
        if buffer.error is not None and self.outcome == "completed":
            raise buffer.error
        yield from joined(iter((self._begin + encoder.end(),)))

    def _pieces(
        self, newly_dropped: int, batch: list[Any], has_heartbeat: bool, retires: bool
    ) -> Iterator[bytes]:
        if newly_dropped:
            yield self._encoder.comment(f"dropped {newly_dropped}")
        for piece in self._encoder.encode(batch) if batch else ():
            # What begins the body waits for the first element, which may fail: nothing was sent by
            # then, and the response can still be a 500.
            begin, self._begin = self._begin, b""
            yield begin + piece
        if has_heartbeat:
            yield self._encoder.comment("heartbeat")
        if retires:
            yield self._encoder.retry(randint(*RETRY))


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
