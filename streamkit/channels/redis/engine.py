"""Channels that all processes share which use the same Redis."""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from streamkit.channels.audience import Audience
from streamkit.channels.frame import Frame
from streamkit.channels.hub import Hub
from streamkit.channels.hubs import Hubs, lock
from streamkit.channels.metrics import channel_metrics
from streamkit.channels.position import Position
from streamkit.channels.redis.histories import HistoryReader
from streamkit.channels.redis.link import Link
from streamkit.channels.redis.log import look, position_from, publication
from streamkit.channels.redis.server import Server, away, scripts
from streamkit.channels.ring import Anteroom, Ring
from streamkit.collectors import registry_in_use

__all__ = ["Redis"]

MAX_IDLE: Final = 60.0
"""Seconds that a channel is followed that nobody here listens to, for those who come back."""

MAX_SEEN: Final = 10_000
"""Of how many channels a process that publishes knows its latest event. A judgement: a megabyte."""


class Redis:
    """What is asked of Redis is asked where the caller is; what comes from it, one thread reads."""

    def __init__(self, url: str) -> None:
        self.server: Final = Server(url)
        self._hubs = Hubs(MAX_IDLE)
        self._reader: HistoryReader | None = None
        # The highest position of each channel that was published to here, the latest last.
        self._seen: dict[str, Position] = {}
        self._links: dict[AbstractEventLoop, Link] = {}

    def publish(self, name: str, frame: Frame) -> str:
        hub = self._hubs.peek(name)
        anteroom = None if hub is None or hub.ring.epoch else self._hold(hub)
        position = None
        try:
            (reply,) = self.server.ask(self._publication(name, frame))
            position = self._note(name, reply)
        finally:
            if anteroom is not None:
                self._let_go(hub, anteroom, position)
        self._count(name, hub)
        return str(position)

    async def apublish(self, name: str, frame: Frame) -> str:
        hub = self._hubs.peek(name)
        anteroom = None if hub is None or hub.ring.epoch else self._hold(hub)
        position = None
        try:
            (reply,) = await self.link().ask(self._publication(name, frame))
            position = self._note(name, reply)
        finally:
            if anteroom is not None:
                self._let_go(hub, anteroom, position)
        self._count(name, hub)
        return str(position)

    def positions(self, names: Sequence[str]) -> list[Position]:
        return self._looked(names, self.server.ask(self._looks(names)))

    async def apositions(self, names: Sequence[str]) -> list[Position]:
        return self._looked(names, await self.link().ask(self._looks(names)))

    def listen(
        self, name: str, after: Position | None, loop: AbstractEventLoop | None
    ) -> tuple[Hub, Ring, Audience]:
        with lock:
            reader = self._reader
            if reader is None or reader.has_ended:
                reader = self._reader = HistoryReader(self.server, self._hubs)
            hub = self._hubs.found(name)
            if hub is None:
                hub = self._hubs.added(name, Anteroom())
                reader.want(hub)
            ring = hub.ring
            if ring.epoch and not _is_known(ring, after, reader.is_up):
                # Another process may know more than this one does by now.
                ring = reader.anteroom(hub)
            return hub, ring, self._hubs.joined(hub, loop)

    def release(self, hub: Hub, loop: AbstractEventLoop | None) -> None:
        with lock:
            self._hubs.leave(hub, loop)

    def close(self) -> None:
        with lock:
            if self._reader is not None:
                self._reader.stop()
        self.server.close()

    def after_fork(self) -> "Redis":
        if self._reader is not None:
            self._reader.forget()
        self.server.close()
        return Redis(self.server.url)

    def _publication(self, name: str, frame: Frame) -> list[Any]:
        return scripts([publication(name, frame, self._highest(name), self.server.database)])

    def _looks(self, names: Sequence[str]) -> list[Any]:
        return scripts(look(name, self._highest(name)) for name in names)

    def _highest(self, name: str) -> Position | None:
        """The highest position of a channel that this process has seen."""
        seen = self._seen.get(name)
        hub = self._hubs.peek(name)
        if hub is not None and hub.ring.epoch:
            return hub.ring.position if seen is None else max(seen, hub.ring.position)
        return seen

    def _hold(self, hub: Hub) -> Anteroom | None:
        """Who listens already is to get what is published now, though it waits to begin.

        So it is not let begin before it is known where that is.
        """
        with lock:
            anteroom = hub.ring
            if not isinstance(anteroom, Anteroom):
                return None
            anteroom.publishing += 1
            return anteroom

    def _let_go(self, hub: Any, anteroom: Anteroom, position: Position | None) -> None:
        with lock:
            anteroom.publishing -= 1
            if position is not None:
                before = position._replace(number=position.number - 1)
                known = anteroom.beginning
                anteroom.beginning = before if known is None else min(known, before)
            if self._reader is not None:
                self._reader.want(hub)

    def _count(self, name: str, hub: Hub | None) -> None:
        metrics = channel_metrics(name, registry_in_use()) if hub is None else hub.metrics
        with lock:
            metrics.published()

    def _looked(self, names: Sequence[str], replies: list[Any]) -> list[Position]:
        return [self._note(name, reply) for name, reply in zip(names, replies, strict=True)]

    def _note(self, name: str, reply: Any) -> Position:
        position = position_from(reply)
        if position is None:
            raise away(ValueError(f"the id {reply!r:.80} is none of streamkit's"))
        seen = self._seen
        known = seen.get(name)
        if known is None or known < position:
            if known is None and len(seen) >= MAX_SEEN:
                # Of two threads that look for the oldest, one may find that it has gone.
                with suppress(RuntimeError):
                    seen.pop(next(iter(seen)), None)
            seen[name] = position
        return position

    def link(self) -> Link:
        """What is asked by on the running loop."""
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            # Those of loops that were never shut down, too.
            for other in [*self._links]:
                if other.is_closed():
                    self._links.pop(other, None)
            links = self._links
            link = links[loop] = Link(self.server, partial(links.pop, loop, None))
        return link


def _is_known(ring: Ring, after: Position | None, is_up: bool) -> bool:
    """Whether ``ring`` knows where one begins who comes with this position."""
    if after is None:
        return is_up
    return after.epoch < ring.epoch or (after.epoch == ring.epoch and after.number <= ring.head)
