"""An answer as a stream of events: what ``sse`` is given."""

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from streamkit.channels.engine import tell_of_siblings
from streamkit.feed import Subscribable
from streamkit.resumable.follower import Follower
from streamkit.resumable.keepers import keeper
from streamkit.resumable.log import Name

__all__ = ["Answer"]


class Answer(Subscribable):
    """What ``Resumable.start`` and ``follow`` return, for ``StreamingService.sse``."""

    def __init__(
        self,
        name: Name,
        last_event_id: str | None,
        source: Iterable[Any] | AsyncIterable[Any] | None = None,
    ) -> None:
        """``source`` is what makes it, if there is none of this name yet."""
        self._name = name
        self._last_event_id = last_event_id
        self._source = source

    @property
    def unstarted(self) -> Iterable[Any] | AsyncIterable[Any] | None:
        return self._source

    def read_by(self, read: Callable[[Any], Any]) -> "Answer":
        """The same with the source as a framework reads it."""
        source = None if self._source is None else read(self._source)
        return Answer(self._name, self._last_event_id, source)

    def resumed(self, last_event_id: str | None) -> "Answer":
        """The same for a client that comes with this id, if none was known before."""
        if self._last_event_id is not None or last_event_id is None:
            return self
        return Answer(self._name, last_event_id, self._source)

    def tell_of_siblings(self) -> None:
        """The server has several processes, of which each has answers of its own."""
        tell_of_siblings()

    def subscribe(self, loop: AbstractEventLoop | None) -> Follower:
        """A place of the caller's own, on ``loop`` or on this thread."""
        # Who comes back has had a part of it, which nothing is to be made a second time for.
        starts = self._source is not None and self._last_event_id is None
        return Follower(keeper(), self._name, self._last_event_id, loop, starts=starts)

    def __repr__(self) -> str:
        name, key = self._name
        return f"<answer {key!r} of Resumable({name!r})>"
