"""A request, the head of its response, and the streams that the response is made of."""

from collections.abc import Iterable, Mapping
from contextvars import copy_context
from math import inf

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from streamkit.stream.pipeline import Pipeline, follower

__all__ = ["Exchange"]


class Exchange:
    """What a server and its client share. The app runs in ``context``, which shows its streams."""

    def __init__(self, path: str, headers: Mapping[str, str]) -> None:
        self.request = EnvironBuilder(
            path,
            # A host that Django's test settings allow.
            "http://testserver",
            headers=Headers(headers),
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
        )
        self.status: int | None = None
        self.headers = Headers()
        self.pipelines: list[Pipeline] = []
        self.context = copy_context()
        self.context.run(follower.set, self.follow)
        self._back_at = inf

    def follow(self, pipeline: Pipeline) -> None:
        pipeline.back_at = self._back_at
        if pipeline not in self.pipelines:
            self.pipelines.append(pipeline)

    def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.status = status
        self.headers = Headers([*headers])

    def be_back(self, deadline: float) -> None:
        """Let a thread that waits for one of the streams have an empty chunk at ``deadline``."""
        self._back_at = deadline
        for pipeline in self.pipelines:
            pipeline.back_at = deadline

    def beat(self) -> None:
        """Let the heartbeats be due now. To be called where the streams' consumer runs."""
        for pipeline in self.pipelines:
            pipeline.beat()

    def retire(self) -> None:
        """Do with the streams what the end of the process does."""
        for pipeline in self.pipelines:
            if pipeline.kind.live:
                pipeline.retire()

    @property
    def has_heartbeat(self) -> bool:
        return any(each.kind.heartbeat is not None for each in self.pipelines)

    @property
    def is_closed(self) -> bool:
        """Whether every source is closed."""
        return all(each.buffer.ended for each in self.pipelines)
