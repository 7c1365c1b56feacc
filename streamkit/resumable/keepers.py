"""Where the answers of this process are kept: beside its channels."""

from typing import TYPE_CHECKING, cast

from streamkit.channels.engine import Engine, companion
from streamkit.channels.memory import Memory
from streamkit.resumable.keeper import Keeper
from streamkit.resumable.memory import MemoryKeeper

if TYPE_CHECKING:
    from streamkit.channels.redis.engine import Redis

__all__ = ["keeper"]


def keeper() -> Keeper:
    """The one that belongs to where the channels are now."""
    return companion(_beside)


def _beside(engine: Engine) -> Keeper:
    if isinstance(engine, Memory):
        return MemoryKeeper()
    # Not before it is needed: it is an extra, and takes its time.
    from streamkit.resumable.redis.keeper import RedisKeeper

    return RedisKeeper(cast("Redis", engine))
