"""The bounded buffer between a source and its encoder: one producer, one consumer."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import repeat, starmap
from typing import Any, Final

from streamkit.kind import MAX_AWAY, MAX_BUFFERED_BYTES, Kind
from streamkit.wake import Wake

__all__ = ["MAX_AWAY", "Buffer"]

UNWEIGHED: Final = 4
"""Elements, neither bytes nor text, that are held before one of them is weighed.

The next is weighed whenever the buffer is full. A judgement: rows of 16 MiB are 64 MiB then, and
not 2 GiB; and a source whose buffer never fills is asked nothing.
"""

_SIZED: Final = (str, bytes, bytearray, memoryview)


class Buffer:
    """A state machine that waits for nothing itself.

    ::

        end, once               the producer is done, and offers nothing more
        abandon, at any time    the consumer wants nothing more; also of a buffer that has ended,
                                as one that is abandoned goes on to end

    The producer calls ``offer`` and ``end``, the consumer ``drain``, either of them or a third
    thread ``abandon``. There is no lock: every counter is written by one side only, and the methods
    of a list are atomic. ``readable`` is notified when there is something to drain or nothing
    more to come, ``writable`` when an ``offer`` that found no room may be made again.
    """

    __slots__ = (
        "_abandoned",
        "_capacity",
        "_clock",
        "_discarded",
        "_drained",
        "_dropping_since",
        "_elements",
        "_full_since",
        "_limit",
        "_room",
        "_slides",
        "_takes_octets",
        "_unsized",
        "away_since",
        "dropped",
        "ended",
        "error",
        "readable",
        "writable",
    )

    def __init__(
        self,
        kind: Kind,
        readable: Wake,
        writable: Wake,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.readable = readable
        self.writable = writable
        self._capacity = kind.capacity
        self._limit = min(kind.capacity, UNWEIGHED)
        self._takes_octets = kind.octets
        self._slides = kind.strategy == "sliding"
        self._clock = clock
        # A deque takes 760 bytes while it is empty. To take the first of a list moves the others,
        # which are two kilobytes at the most.
        self._elements: list[Any] = []
        # The producer writes these. A drain is named by what the consumer's count was before it.
        self.dropped = 0
        self.error: BaseException | None = None
        self.ended = False
        """Whether the source has ended. Look *before* a drain: an empty one is then the last."""
        self._room = MAX_BUFFERED_BYTES
        self._unsized: type[Any] | None = None
        self._full_since = -1
        self._dropping_since = -1
        # The consumer writes these.
        self._drained = 0
        self.away_since: float | None = None
        """Since when the consumer is away with a chunk, by the clock; None if it is not."""
        # Whoever abandons the buffer writes these.
        self._abandoned = False
        self._discarded = 0

    # The producer's side

    def offer(self, element: Any) -> bool:
        """Take ``element``. False: there is no room for it now, or nobody wants it any more.

        Raises RuntimeError after ``end``.
        """
        kind = type(element)
        if kind is str or kind is bytes:
            size = len(element)
        elif kind is self._unsized:
            size = 0
        else:
            element, size = self._weigh(element)
        elements, room = self._elements, self._room - size
        # Of a closed buffer the limit is 0.
        if room < 0 or len(elements) >= self._limit:
            if not self._make_room(element, size):
                return False
            room = self._room - size
        self._room = room
        elements.append(element)
        readable = self.readable
        if readable.armed:
            readable.notify()
        return True

    def take_from(self, elements: Iterator[Any], end: Any) -> Any:
        """Take those for which there is room; return the first that ``offer`` has to look at.

        Or ``end``, if there are no more. ``offer`` looks at all that are bytes or text.
        """
        held, readable = self._elements, self.readable
        append = held.append
        for element in elements:
            if type(element) is not self._unsized or len(held) >= self._limit:
                return element
            append(element)
            if readable.armed:
                readable.notify()
        return end

    def seconds_until_drop(self) -> float | None:
        """Seconds to wait for a drain before an element is offered again that found no room.

        None: for as long as it takes.
        """
        if not self._slides:
            return None
        away_since = self.away_since
        if away_since is None:
            return MAX_AWAY
        return max(0.0, away_since + MAX_AWAY - self._clock())

    def writable_now(self) -> bool:
        """Whether to offer again what found no room: there was a drain, or nobody wants it."""
        return self._full_since != self._drained or self._abandoned

    def end(self, error: BaseException | None = None) -> None:
        """No more elements will come: the source has ended, or failed with ``error``.

        Raises RuntimeError the second time.
        """
        if self.ended:
            raise RuntimeError("the source has ended already")
        self.error = error
        self.ended = True
        self._limit = 0
        self.readable.notify()

    def _weigh(self, element: Any) -> tuple[Any, int]:
        """The element as it is kept, and its bytes: 0 for what is neither bytes nor text."""
        # A source may reuse a bytearray, an array or a map for its next piece.
        if self._takes_octets and not isinstance(element, bytes):
            with suppress(TypeError):
                element = memoryview(element).tobytes()
        if not isinstance(element, _SIZED):
            self._unsized = type(element)
            return element, 0
        if isinstance(element, bytearray | memoryview):
            element = bytes(element)
        return element, len(element)

    def _fits(self, size: int) -> bool:
        if size <= self._room:
            return True
        # What was drained is not counted as it goes: that is looked for when it is needed.
        held = sum(map(_size, [*self._elements]))
        self._room = MAX_BUFFERED_BYTES - held
        return size <= self._room or not self._elements

    def _make_room(self, element: Any, size: int) -> bool:
        """Drop the oldest elements, if this is the time to, until another one fits."""
        if self.ended:
            raise RuntimeError("an element was offered after the end of the source")
        drained = self._drained
        # All others weigh as much as this one, it is taken.
        self._limit = 1 + min(self._capacity - 1, MAX_BUFFERED_BYTES // (1 + _weight(element)))
        # Another thread may abandon the buffer at any moment, so that each round asks once more.
        while not self._abandoned:
            if len(self._elements) < self._limit and self._fits(size):
                return True
            if self._dropping_since != drained:
                if not self._slides or self.seconds_until_drop():
                    self._full_since = drained
                    return False
                self._dropping_since = drained
            # A drain may come in between and take everything, and then there is nothing to drop.
            with suppress(IndexError):
                self._elements.pop(0)
                self.dropped += 1
        self._limit = 0
        return False

    # The consumer's side

    def readable_now(self) -> bool:
        """Whether ``drain`` returns something, or nothing will come any more."""
        return bool(self._elements) or self.ended or self._abandoned

    @property
    def abandoned(self) -> bool:
        """Whether the consumer has left, and nobody takes what is offered."""
        return self._abandoned

    def drain(self) -> list[Any]:
        """Take everything that is ready, oldest first."""
        self.away_since = None
        batch = self._take()
        # After the elements are gone, and before the look whether somebody waits for that.
        self._drained += len(batch)
        if self.writable.armed:
            self.writable.notify()
        return batch

    def take_latest(self, told: int, encode: Callable[[Any], bytes]) -> bytes | None:
        """What ``encode`` makes of the one element that is ready, if there is nothing more to it.

        The consumer is then away with it. None if there is none, or more than one, or more were
        dropped than the consumer was ``told`` of: ``drain`` knows.
        """
        elements = self._elements
        if len(elements) != 1 or self.dropped != told:
            return None
        try:
            element = elements.pop(0)
        except IndexError:
            return None
        self._drained += 1
        if self.writable.armed:
            self.writable.notify()
        chunk = encode(element)
        clock = self._clock
        self.away_since = clock()
        return chunk

    @property
    def offered(self) -> int:
        """How many elements ``offer`` took: drained, dropped, abandoned, or still here."""
        return self._drained + self.dropped + self._discarded + len(self._elements)

    def abandon(self) -> None:
        """The consumer left: let go of all elements and wake both sides. Idempotent."""
        self._abandoned = True
        self._limit = 0
        self._discarded += len(self._take())
        self.writable.notify()
        self.readable.notify()

    def _take(self) -> list[Any]:
        elements = self._elements
        taken: list[Any] = []
        # A producer that drops at the same time may empty the buffer before all of these calls are
        # made. What they took by then stays.
        with suppress(IndexError):
            taken.extend(starmap(elements.pop, repeat((0,), len(elements))))
        return taken


def _size(element: Any) -> int:
    return len(element) if isinstance(element, str | bytes) else 0


def _weight(element: Any) -> int:
    """The bytes and characters in the values of a row or an event, by and large."""
    if isinstance(element, Mapping):
        values: Iterable[Any] = element.values()
    elif isinstance(element, list | tuple):
        values = element
    else:
        values = getattr(element, "__dict__", {}).values()
    return sum(map(_size, values))
