"""Where the answers of this process are kept: beside its channels."""

from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING, Protocol, cast

from streamkit.channels.audience import Audience
from streamkit.channels.engine import Engine, companion
from streamkit.channels.memory import Memory
from streamkit.resumable.log import Log, Name

if TYPE_CHECKING:
    from streamkit.channels.redis.engine import Redis
    from streamkit.resumable.production import Production

__all__ = ["Keeper", "keeper"]


class Keeper(Protocol):
    """Who keeps the logs. Any thread may call it, and loops what is to be awaited."""

    def join(self, name: Name, loop: AbstractEventLoop | None) -> tuple[Log, Audience]:
        """The log for one more follower, on ``loop`` or a thread, and where that is to wait.

        It waits for nothing itself. ``leave`` follows, once.
        """
        ...

    def leave(self, log: Log, loop: AbstractEventLoop | None) -> None:
        """It has one follower less."""
        ...

    def start(self, log: Log, production: "Production", loop: AbstractEventLoop | None) -> None:
        """Have ``production`` make it, if it has not begun anywhere; else let that be discarded.

        To be called on ``loop``, where this waits for nothing, or on a thread. Raises what there is
        to be told of at once. What comes later is told by ``Log.fail``.
        """
        ...

    def look(self, log: Log) -> int:
        """See to it that what there is of it comes to be known here, or that there is nothing.

        The number of the question is returned, for ``Log.is_unknown_to``.
        """
        ...

    def stop(self, name: Name) -> bool:
        """End it, from any thread; whether it was running."""
        ...

    async def astop(self, name: Name) -> bool:
        """``stop`` on an event loop."""
        ...

    def close(self) -> None:
        """Answers are kept elsewhere from now on."""

    def forget(self) -> None:
        """This is a child of a fork."""


def keeper() -> Keeper:
    """The one that belongs to where the channels are now."""
    return companion(_beside)


def _beside(engine: Engine) -> Keeper:
    if isinstance(engine, Memory):
        from streamkit.resumable.memory import MemoryKeeper

        return MemoryKeeper()
    # Not before it is needed: it is an extra, and takes its time.
    from streamkit.resumable.redis.keeper import RedisKeeper

    return RedisKeeper(cast("Redis", engine))
