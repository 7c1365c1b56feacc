"""A channel: events that are published once, for any number of subscribers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from streamkit.arguments import check_name
from streamkit.channels.engine import engine
from streamkit.channels.frame import frame_of
from streamkit.channels.iterating import AsyncEvents, Events
from streamkit.channels.listener import Listener
from streamkit.channels.position import ids
from streamkit.channels.subscriber import Subscribed
from streamkit.loop import running_loop
from streamkit.request import known_last_event_id

__all__ = ["Channel", "Merged", "merge"]

MAX_NAME: Final = 200
"""Characters of the name of a channel: it is the name of a key, and stands in each gap."""

MAX_MERGED: Final = 64
"""Channels of one stream at the most: its id has a position for each of them, and comes back as a
header, of which many servers take no more than 8 KiB in all.
"""


class _Listened(ABC):
    """What may be listened to: one channel, or several."""

    __slots__ = ()

    @property
    @abstractmethod
    def _names(self) -> Sequence[str]:
        """Of the channels, in the order of their positions in an id."""

    def last_event_id(self) -> str:
        """The position now, behind the latest event: for a page that shows the state as of now.

        A client that comes with it as its ``Last-Event-ID``, or as ``?lastEventId=``, gets all
        events from then on. On an event loop it is ``await``\\ ed: ``alast_event_id``. Raises
        RuntimeError there.
        """
        if running_loop() is not None:
            _refuse_on_loop("last_event_id", "alast_event_id()")
        return ids(engine().positions(self._names))

    async def alast_event_id(self) -> str:
        """``last_event_id`` on an event loop."""
        return ids(await engine().apositions(self._names))

    def __iter__(self) -> Events:
        """The events from now on, or from where the client of this request was, one by one.

        Gaps are among them, as events of that name. It waits for each, and does not end: but in a
        source whose client leaves. The position is that of the call.
        """
        return Events(Listener(engine(), self._names, known_last_event_id(), None))

    def __aiter__(self) -> AsyncEvents:
        """The same on an event loop, which need not be there yet: whichever reads first.

        Reading raises RuntimeError on one that is not asyncio's.
        """
        return AsyncEvents(Listener(engine(), self._names, known_last_event_id(), None))

    def subscribed(self, *, is_lossless: bool = False) -> Subscribed:
        """The source of a stream of these events, for the client of this request."""
        last_event_id = known_last_event_id()
        return Subscribed(self._names, last_event_id, is_lossless=is_lossless)


class Channel(_Listened):
    """A handle on the channel of this name: no I/O, no thread, no loop; equal by name.

    It is made wherever it is needed, as often as one likes::

        orders = Channel("orders")
        orders.publish({"id": 7})  # in a view, a signal, a job
        StreamingService.sse("orders", orders)  # in a view, for each client

    It holds the latest 1,000 events, or 4 MiB of them, for clients that come back. Raises TypeError
    if ``name`` is no str, and ValueError if it is blank, not printable or longer than 200
    characters.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        check_name("name", name)
        if len(name) > MAX_NAME:
            raise ValueError(f"name must not be longer than {MAX_NAME} characters, got {len(name)}")
        self._name = name

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    def publish(self, event: Any) -> str:
        """Send ``event`` to all who listen now, or come back within the history; return its id.

        A JSON value or a str, which are the data of an event, or a ``ServerSentEvent`` without an
        id. It is encoded here, once, and this waits for none of them.

        Raises ValueError if it cannot be sent, is larger than 256 KiB when it is encoded, has no
        data, has an id, or is named ``gap`` or ``subscribed``. Raises RuntimeError on an event
        loop: ``apublish`` is for that.
        """
        if running_loop() is not None:
            _refuse_on_loop("publish", "apublish(…)")
        return engine().publish(self._name, frame_of(event))

    async def apublish(self, event: Any) -> str:
        """``publish`` on an event loop."""
        return await engine().apublish(self._name, frame_of(event))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Channel) and other._name == self._name

    def __hash__(self) -> int:
        return hash((Channel, self._name))

    def __repr__(self) -> str:
        return f"Channel({self._name!r})"

    @property
    def _names(self) -> Sequence[str]:
        return (self._name,)


class Merged(_Listened):
    """What ``merge`` returns: several channels on one stream."""

    __slots__ = ("channels",)

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = tuple(channels)

    @property
    def _names(self) -> Sequence[str]:
        return [channel.name for channel in self.channels]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Merged) and other.channels == self.channels

    def __hash__(self) -> int:
        return hash((Merged, self.channels))

    def __repr__(self) -> str:
        return f"merge({', '.join(map(repr, self.channels))})"


def merge(*channels: Channel) -> Merged:
    """Several channels as one source: their events, each channel's in their order.

    An id of such a stream has a position in each channel, in the order of the arguments: merge the
    same ones in the same order for a client that comes back. A gap names its channel.

    Raises TypeError for what is no channel, and ValueError for none, for more than 64, or for one
    that comes twice.
    """
    for channel in channels:
        if not isinstance(channel, Channel):
            raise TypeError(f"channels must be Channel objects, got {type(channel).__name__}")
    if not 1 <= len(channels) <= MAX_MERGED:
        raise ValueError(f"channels must be 1 to {MAX_MERGED}, got {len(channels)}")
    if len({*channels}) < len(channels):
        raise ValueError("channels must differ: one of them was given twice")
    return Merged(channels)


def _refuse_on_loop(method: str, instead: str) -> NoReturn:
    raise RuntimeError(
        f"{method} would block the event loop, wherever channels are kept: await {instead}"
    )
