"""Who listens to some channels: a place in the history of each, and something to wait with."""

from asyncio import AbstractEventLoop
from collections.abc import Sequence
from typing import Any

from streamkit.channels.audience import LoopWaiter, ThreadWaiter
from streamkit.channels.cursor import Cursor, Gap
from streamkit.channels.engine import Engine
from streamkit.channels.hub import Hub
from streamkit.channels.hubs import lock
from streamkit.channels.position import NOWHERE, Position, ids, positions

__all__ = ["Listener", "Seat"]


class Seat:
    """What a listener has in one of its channels."""

    __slots__ = ("_is_one_of_several", "cursor", "hub", "metrics")

    def __init__(self, hub: Hub, cursor: Cursor, *, is_one_of_several: bool) -> None:
        self.hub = hub
        self.cursor = cursor
        # The gauge goes down where it went up, whatever registry is used by then.
        self.metrics = hub.metrics
        self._is_one_of_several = is_one_of_several

    def told_of(self, gap: Gap) -> dict[str, Any]:
        """The data of the event that tells its listener of ``gap``, which is counted."""
        self.metrics.gap()
        if self._is_one_of_several:
            return {"channel": self.hub.name, "missed": gap.missed}
        return {"missed": gap.missed}


class Listener:
    """Reads on one thread, or one loop, and leaves on any."""

    __slots__ = ("_engine", "_loop", "_stays", "seats", "wait", "waiter")

    def __init__(
        self,
        engine: Engine,
        names: Sequence[str],
        last_event_id: str | None,
        loop: AbstractEventLoop | None,
        *,
        is_lossless: bool = False,
    ) -> None:
        """``last_event_id`` is what a client sends; None lets it begin now."""
        after: Sequence[Position | None] = [None] * len(names)
        if last_event_id is not None:
            after = positions(last_event_id, len(names)) or [NOWHERE] * len(names)
        self._engine = engine
        self._loop = loop
        self.seats: list[Seat] = []
        audiences: list[Any] = []
        for name, position in zip(names, after, strict=True):
            hub, ring, audience = engine.listen(name, position, loop)
            cursor = Cursor(ring, position, is_lossless=is_lossless)
            self.seats.append(Seat(hub, cursor, is_one_of_several=len(names) > 1))
            audiences.append(audience)
        for seat in self.seats:
            seat.metrics.subscribed(1)
        self.waiter: LoopWaiter | ThreadWaiter
        self.wait: Any
        """What it waits with: as a thread, or with what a task of the loop is to await."""
        self._wait_among(audiences)
        # Whoever takes it out makes the listener leave: of two threads, one finds it.
        self._stays = [None]

    def _wait_among(self, audiences: list[Any]) -> None:
        loop = self._loop
        if loop is None:
            self.waiter = ThreadWaiter(audiences)
            self.wait = self.waiter.wait
        else:
            self.waiter = LoopWaiter(loop, audiences)
            self.wait = self.waiter.waiter

    def wait_on(self, loop: AbstractEventLoop) -> None:
        """Read on ``loop`` from now on, whichever it was before. Nobody waits with it now."""
        if loop is self._loop:
            return
        with lock:
            before = self._loop
            if self.has_left:
                return
            audiences = [seat.hub.join(loop) for seat in self.seats]
            for seat in self.seats:
                if before is not None:
                    seat.hub.leave(before)
            self._loop = loop
        self.waiter.leave()
        self._wait_among(audiences)

    @property
    def last_event_id(self) -> str:
        """Behind all that was read."""
        return ids(seat.cursor.position for seat in self.seats)

    def place(self) -> bool:
        """Whether it is known where it begins in each of them: not while that is looked for."""
        is_placed = True
        for seat in self.seats:
            is_placed &= seat.cursor.place()
        return is_placed

    def is_at_head(self) -> bool:
        """Whether there is nothing to read, and nothing to be told of."""
        for seat in self.seats:
            cursor = seat.cursor
            if cursor.number != cursor.ring.head:
                return False
        return True

    @property
    def has_left(self) -> bool:
        return not self._stays

    def leave(self) -> None:
        """It listens no longer. Idempotent, on any thread."""
        try:
            self._stays.pop()
        except IndexError:
            return
        self.waiter.leave()
        with lock:
            # It may just have changed.
            loop = self._loop
        for seat in self.seats:
            self._engine.release(seat.hub, loop)
            seat.metrics.subscribed(-1)
