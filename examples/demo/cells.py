"""What is on the board: in this process, or where all processes find it."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

__all__ = ["Cells", "MemoryCells", "RedisCells"]

KEY = "streamkit-demo:board"

KEEP_FOR = 3 * 3600
"""Seconds after the last change, as long as the channel that tells of it is kept."""


class Cells(Protocol):
    @property
    def lock(self) -> AbstractContextManager[Any]:
        """For one who paints, while the others wait."""
        ...

    def read(self, count: int) -> list[int]:
        """The colours of the first cells."""
        ...

    def write(self, cell: int, colour: int) -> None: ...


class MemoryCells:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._colours: dict[int, int] = {}

    def read(self, count: int) -> list[int]:
        return [self._colours.get(cell, 0) for cell in range(count)]

    def write(self, cell: int, colour: int) -> None:
        self._colours[cell] = colour


class RedisCells:
    """A byte a cell. What cannot be reached raises ConnectionError, as it does for channels."""

    def __init__(self, url: str) -> None:
        # An extra, which the demo needs for this alone.
        import redis

        self._errors = redis.RedisError
        self._redis = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)

    @property
    @contextmanager
    def lock(self) -> Iterator[None]:
        # It ends by itself if its process is killed while it has it.
        with self._told(), self._redis.lock(f"{KEY}:lock", timeout=2, sleep=0.01):
            yield

    def read(self, count: int) -> list[int]:
        with self._told():
            # They are bytes, whatever its type says.
            colours = cast("bytes", self._redis.getrange(KEY, 0, count - 1))
        return [*colours.ljust(count, b"\0")]

    def write(self, cell: int, colour: int) -> None:
        with self._told(), self._redis.pipeline() as pipeline:
            pipeline.setrange(KEY, cell, bytes([colour]))
            pipeline.expire(KEY, KEEP_FOR)
            pipeline.execute()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise ConnectionError(f"{error}") from error
