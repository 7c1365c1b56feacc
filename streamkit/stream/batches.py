"""Everything that is ready at a time, encoded as one batch and joined into chunks."""

from collections.abc import Callable, Iterator
from math import inf
from random import randint, uniform
from time import monotonic
from typing import Any, Final, Literal

from streamkit.encoders import Encoder
from streamkit.feed import ConsumerSide
from streamkit.kind import Kind
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

SLICE_SECONDS: Final = 0.002
"""Seconds after which others have their turn before the rest of a batch is encoded.

A judgement: 128 small rows take a twentieth of it, and to compress half a megabyte takes five times
as long. What else the loop has to do is late by so much, or by one element.
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

    __slots__ = (
        "_clock",
        "_heartbeat",
        "_heartbeat_at",
        "_is_live",
        "_max_age",
        "_retires_at",
        "due",
        "is_silent",
        "plain_until",
    )

    def __init__(self, kind: Kind, clock: Callable[[], float] = monotonic) -> None:
        self._is_live = kind.live
        self._heartbeat = kind.heartbeat
        self._max_age = kind.max_age
        self._clock = clock
        self._heartbeat_at = inf
        self._retires_at = inf
        self.due = inf
        """When the consumer is to come though there is no element, by the clock."""
        self.is_silent = kind.heartbeat is not None
        """Whether it has a heartbeat, and sent neither that nor an element yet."""
        self.plain_until = -inf
        """Until when an element of a live stream goes out with nothing before or behind it."""

    def begin(self) -> None:
        """The first chunk is asked for. A stream that was retired before stays so."""
        now = self._clock()
        if self._max_age is not None:
            age = self._max_age * uniform(1 - AGE_SPREAD, 1 + AGE_SPREAD)
            self._retires_at = min(self._retires_at, now + age)
        if self._heartbeat is not None:
            self._heartbeat_at = now + min(FIRST_HEARTBEAT, self._heartbeat)
        self._set_due()

    def beat(self) -> None:
        """Let the heartbeat be due now, if there is one."""
        if self._heartbeat is not None:
            self._heartbeat_at = self._clock()
            self._set_due()

    def retire(self) -> None:
        """Let the stream be old enough now."""
        self._retires_at = -inf
        self._set_due()

    def is_due(self) -> bool:
        """Whether the consumer is to come though there is no element."""
        return self._clock() >= self.due

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
        if is_due or (has_elements and self.is_silent):
            self._heartbeat_at = now + self._heartbeat
            self.is_silent = False
            self._set_due()
        return is_due

    def _set_due(self) -> None:
        self.due = due = min(self._heartbeat_at, self._retires_at)
        self.plain_until = due if self._is_live and not self.is_silent else -inf
        if self._retires_at == -inf:
            # Another thread may have retired it between the look and the change.
            self.due = self.plain_until = -inf


class Slice:
    """How many elements of a batch are encoded at a time, so that it takes SLICE_SECONDS or so.

    One at first, and then twice as many as long as it takes less.
    """

    __slots__ = ("_began", "_clock", "_last", "size")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began = self._last = 0.0
        self.size = 1

    def begin(self) -> None:
        """A batch is to be encoded, or what is left of one."""
        self._began = self._last = self._clock()

    def is_over(self, elements: int) -> bool:
        """So many elements were encoded. Whether others should have their turn before the next."""
        now = self._clock()
        seconds, self._last = now - self._last, now
        if seconds > SLICE_SECONDS:
            self.size = max(1, int(elements * SLICE_SECONDS / seconds))
        elif elements == self.size:
            self.size *= 2
        return now - self._began >= SLICE_SECONDS


_OVER: Final[Iterator[bytes]] = iter(())
"""In hand when nothing more is."""


class Batches:
    """What is drained from ``buffer``, with the heartbeats and the end that ``agenda`` asks for.

    Nothing that it gives after the buffer was abandoned is to be sent: whoever abandons takes
    elements away as well.
    """

    __slots__ = (
        "_agenda",
        "_begin",
        "_buffer",
        "_encoder",
        "_in_hand",
        "_record",
        "_slice",
        "dropped_told",
        "has_more",
        "outcome",
    )

    def __init__(
        self, buffer: ConsumerSide, encoder: Encoder, agenda: Agenda, record: Record
    ) -> None:
        self._buffer = buffer
        self._encoder = encoder
        self._agenda = agenda
        self._record = record
        # Empty until it is asked for, and None once it is out of the way.
        self._begin: bytes | None = b""
        self._slice: Slice | None = None
        self._in_hand: Iterator[bytes] | None = None
        self.has_more = False
        """Whether ``take`` goes on with the batch in hand, so that nobody needs to wait."""
        self.dropped_told = 0
        """How many elements the client was told of that were dropped."""
        self.outcome: Literal["completed", "retired"] | None = None
        """How it ended; None until it has."""

    def take(self) -> bytes | None:
        """The next chunk; None when there is nothing to take, and after the end.

        An empty one where a long batch is still being encoded, and others may have their turn
        meanwhile. It ends with the source, or as the stream retires, and ``outcome`` then says
        which. Raises what the source raised, after the chunks before it, and what the encoder
        raises.
        """
        in_hand = self._in_hand
        if in_hand is None:
            in_hand = self._in_hand = self._drain()
        chunk = next(in_hand, None)
        if not self.has_more and self._in_hand is in_hand:
            # With what it has of this batch it would be kept until the next, which may be long.
            self._in_hand = None
        return chunk

    def close(self) -> None:
        """Let go of the batch in hand, after which there is nothing. From any thread.

        Who takes meanwhile is to call this as well, afterwards.
        """
        self._in_hand = _OVER

    def _drain(self) -> Iterator[bytes]:
        buffer = self._buffer
        if self._begin == b"":
            self._begin = self._encoder.begin() or None
        # Both are read before the drain, since whatever is dropped or ends during it belongs to the
        # next batch.
        ended, dropped = buffer.ended, buffer.dropped
        batch = buffer.drain()
        if ended and not batch and dropped == self.dropped_told:
            return self._end("completed")
        return self._encode(batch, dropped)

    def _encode(self, batch: list[Any], dropped: int) -> Iterator[bytes]:
        """The chunks of ``batch``, and of what goes out with it: none if that is nothing."""
        encoder, agenda = self._encoder, self._agenda
        pieces: list[bytes] = []
        has_heartbeat = retires = False
        if agenda.is_silent or monotonic() >= agenda.due:
            retires = agenda.retires()
            has_heartbeat = agenda.is_heartbeat_due(bool(batch)) and not retires
        if untold := dropped - self.dropped_told:
            pieces.append(encoder.dropped(untold))
            self.dropped_told = dropped
        try:
            yield from self._add_in_slices(pieces, batch)
        except Exception:
            yield from self._give(joined(pieces), is_all=False)
            raise
        if has_heartbeat:
            pieces.append(encoder.comment("heartbeat"))
        if retires:
            pieces.append(encoder.retry(randint(*RETRY)))
        yield from self._give(joined(pieces), is_all=not retires)
        if retires:
            yield from self._end("retired")

    def _end(self, outcome: Literal["completed", "retired"]) -> Iterator[bytes]:
        self._in_hand = _OVER
        error = self._buffer.error
        if error is not None and outcome == "completed":
            raise error
        chunks = joined([(self._begin or b"") + self._encoder.end()])
        self.outcome = outcome
        yield from self._give(chunks)

    def _add_in_slices(self, pieces: list[bytes], batch: list[Any]) -> Iterator[bytes]:
        """Encode ``batch`` into ``pieces``, and give those that are there when a slice is over."""
        if len(batch) == 1:
            # A stream of which each event comes by itself has no slices.
            self._add(pieces, batch)
            return
        slice_ = self._slice = self._slice or Slice()
        slice_.begin()
        while batch:
            elements, batch = batch[: slice_.size], batch[slice_.size :]
            self._add(pieces, elements)
            if slice_.is_over(len(elements)) and batch:
                yield from self._give(joined(pieces), is_all=False)
                pieces.clear()
                slice_.begin()

    def _add(self, pieces: list[bytes], elements: list[Any]) -> None:
        """Encode ``elements`` into ``pieces``. If one fails, the pieces before it are there."""
        encoder, known = self._encoder, len(pieces)
        try:
            pieces += encoder.encode(elements)
        finally:
            if self._begin and len(pieces) > known:
                # What begins the body waits for the first element, which may fail: nothing was sent
                # by then, and the response can still be a 500.
                pieces.insert(known, self._begin)
                self._begin = None
            if encoder.refused:
                self.report_refused()

    def report_refused(self) -> None:
        """Report what the encoder has refused since the last time."""
        refused = self._encoder.refused
        self._record.refuse(refused)
        refused.clear()

    def _give(self, chunks: list[bytes], *, is_all: bool = True) -> Iterator[bytes]:
        """The ``chunks``, and an empty one behind them unless this is all of the batch."""
        if not is_all:
            chunks.append(b"")
        while chunks:
            chunk = chunks.pop(0)
            self.has_more = bool(chunks) or not is_all
            yield chunk
        self.has_more = False


def joined(pieces: list[bytes]) -> list[bytes]:
    """Non-empty chunks of the same bytes."""
    if len(pieces) <= CHUNK_PIECES and sum(map(len, pieces)) <= CHUNK_BYTES:
        # As most are. What is a chunk as it is, is not copied.
        chunk = b"".join(pieces)
        return [chunk] if chunk else []
    chunks: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for piece in filter(None, pieces):
        if waiting and (size + len(piece) > CHUNK_BYTES or len(waiting) == CHUNK_PIECES):
            chunks.append(b"".join(waiting))
            waiting.clear()
            size = 0
        waiting.append(piece)
        size += len(piece)
    if waiting:
        chunks.append(b"".join(waiting))
    return chunks
