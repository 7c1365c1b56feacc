"""What a consumer takes its batches from: the buffer behind a pump, or what a channel keeps."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol, Self

__all__ = ["ConsumerSide", "Hold", "Notified", "Subscribable", "Subscription"]

Hold = Callable[[], Callable[[BaseException | None], object]]
"""Says that what belongs to a stream is needed for longer than the stream is; what it returns is
called once that is over, with what it failed with.
"""


class Notified(Protocol):
    def notify(self) -> None:
        """Wake who waits, from any thread; next to nothing if nobody does."""


class ConsumerSide(Protocol):
    """What a pipeline asks of where its elements are: a ``Buffer``, or what takes its place.

    All of it is called by the consumer, but for ``abandon`` and ``end``.
    """

    ended: bool
    """Whether nothing more will come. Look *before* a drain: an empty one is then the last."""
    error: BaseException | None
    """What it ended with, if that is a failure."""
    dropped: int
    """How many elements were lost, so far, since the consumer was slow."""

    @property
    def away_since(self) -> float | None:
        """Since when the consumer is away with a chunk, by ``time.monotonic()``; None if it is not.

        It says so itself when it goes; that it is back, it says, or drains.
        """
        ...

    @away_since.setter
    def away_since(self, since: float | None) -> None: ...

    @property
    def readable(self) -> Notified:
        """Notified when there is something to drain, or nothing more to come."""
        ...

    @property
    def offered(self) -> int:
        """How many elements there were so far: drained, dropped, abandoned, or still here."""
        ...

    def readable_now(self) -> bool:
        """Whether ``drain`` returns something, or nothing will come any more."""
        ...

    def drain(self) -> list[Any]:
        """Take everything that is ready, oldest first."""
        ...

    def take_latest(self, told: int, encode: Callable[[Any], bytes]) -> bytes | None:
        """What ``drain`` would return, encoded, if that is one element and there is no more to it.

        So it is for most, at most times, of a stream that is paced. The consumer is then away with
        it. None: ``drain`` knows. ``told``: how many the consumer was told of that were lost.
        """
        ...

    def abandon(self) -> None:
        """The consumer left. Idempotent, on any thread."""

    def end(self, error: BaseException | None = None) -> None:
        """The source is closed, or failed with ``error``."""


class Subscription(ConsumerSide, Protocol):
    """A feed that no pump fills, and what its consumer waits with."""

    wait: Any
    """What its consumer waits with, as a ``Pipeline`` has it: for a thread, or for a loop."""

    def begin(self, source: Any, context: Context, hold: Hold) -> None:
        """The consumer is about to wait for its first chunk.

        ``source`` is that of the ``Subscribable``, a ``streamkit.source.Source``, and from now on
        this one's to start, or to close; ``context`` the copy of the caller's context that is the
        stream's.
        """


class Subscribable(ABC):
    """A source that is nobody's own: its elements are there for all who subscribe."""

    @property
    def unstarted(self) -> Any:
        """What is to be closed where nobody comes to subscribe: the user's iterable, or nothing."""
        return None

    @abstractmethod
    def resumed(self, last_event_id: str | None) -> Self:
        """The same for a client that comes with this id, if none was known before."""
        ...

    @abstractmethod
    def tell_of_siblings(self) -> None:
        """The server has several processes, which may not have the same elements."""

    @abstractmethod
    def subscribe(self, loop: asyncio.AbstractEventLoop | None) -> Subscription:
        """A place of the caller's own, on ``loop`` or on this thread, from now on."""
        ...
