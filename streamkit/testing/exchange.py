"""A request, the head of its response, and the streams that the response is made of."""

from collections.abc import Iterable, Mapping
from contextvars import copy_context
from math import inf
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from streamkit.stream.pipeline import Pipeline, follower
from streamkit.stream.unread import Unread

__all__ = ["Exchange"]


class Exchange:
    """What a server and its client share. The app runs in ``context``, which shows its streams."""

    def __init__(self, path: str, headers: Mapping[str, str]) -> None:
        self.request = EnvironBuilder(
            path,
            # Django's test settings allow this host.
            "http://testserver",
            headers=Headers(headers),
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
        )
        self.status: int | None = None
        self.headers = Headers()
        self.streams: list[Pipeline[Any] | Unread] = []
        self.context = copy_context()
        self.context.run(follower.set, self.follow)
        self._deadline = inf

    def follow(self, stream: "Pipeline[Any] | Unread | None") -> None:
        """Note a stream that was opened, or closed unread, in ``context``. None is no stream."""
        if stream is None or stream in self.streams:
            return
        self.streams.append(stream)
        if isinstance(stream, Pipeline):
            stream.returns_by = self._deadline

    def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Note the head of the response."""
        self.status = status
        self.headers = Headers([*headers])

    def return_by(self, deadline: float) -> None:
        """Let a thread that waits for one of the streams have an empty chunk at ``deadline``.

        ``deadline`` is a time of ``time.monotonic()``.
        """
        self._deadline = deadline
        for pipeline in self.pipelines:
            pipeline.returns_by = deadline

    def beat(self) -> None:
        """Let the heartbeats be due now. To be called where the streams' consumer runs."""
        for pipeline in self.pipelines:
            pipeline.beat()

    def retire(self) -> None:
        """Retire the live streams, as the end of the process does."""
        for pipeline in self.pipelines:
            if pipeline.kind.live:
                pipeline.retire()

    @property
    def pipelines(self) -> list[Pipeline[Any]]:
        """The streams that were opened."""
        return [stream for stream in self.streams if isinstance(stream, Pipeline)]

    @property
    def has_heartbeat(self) -> bool:
        """Whether one of the streams is of a kind that has heartbeats."""
        return any(each.kind.heartbeat is not None for each in self.pipelines)

    @property
    def is_closed(self) -> bool:
        """Whether every source is closed."""
        return all(each.is_closed for each in self.streams)
