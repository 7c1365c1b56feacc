"""One span a stream, for OpenTelemetry, in an application that has set it up.

Nothing is imported for it: whoever has a tracer provider has imported ``opentelemetry.trace``.
"""

import sys
from collections.abc import Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from streamkit.log import say_once

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from streamkit.metrics import Outcome

__all__ = ["StreamSpan", "stream_span"]


class StreamSpan:
    """What a stream tells of itself to whoever traces it. This one tells nobody.

    ``start`` and ``end`` are called once each, or neither of them.
    """

    __slots__ = ()

    def start(self, *contexts: Context) -> None:
        """The stream begins. What code in ``contexts`` traces from now on is a part of it."""

    def end(
        self, outcome: "Outcome", figures: Mapping[str, int], error: BaseException | None
    ) -> None:
        """It is over, with these figures, and has failed with ``error`` if there is one."""


class _RecordedSpan(StreamSpan):
    """A span within the one that was open when the stream was asked for: that of its request."""

    __slots__ = ("_attributes", "_name", "_parent", "_span")

    def __init__(self, kind: str, name: str, tenant: str) -> None:
        from opentelemetry import context

        self._name = f"{kind} {name}"
        self._attributes = {
            "streamkit.kind": kind,
            "streamkit.stream": name,
            "streamkit.tenant": tenant,
        }
        self._parent = context.get_current()
        self._span: Span | None = None

    def start(self, *contexts: Context) -> None:
        from opentelemetry import context, trace

        try:
            # Not before now, as most of what the tracers of a process depend on may be set up late.
            tracer = trace.get_tracer("streamkit")
            span = self._span = tracer.start_span(
                self._name, context=self._parent, attributes=self._attributes
            )
            inside = trace.set_span_in_context(span, self._parent)
            for each in contexts:
                each.run(context.attach, inside)
        except Exception as error:
            _say(error)

    def end(
        self, outcome: "Outcome", figures: Mapping[str, int], error: BaseException | None
    ) -> None:
        from opentelemetry.trace import StatusCode

        span, self._span = self._span, None
        if span is None:
            return
        try:
            attributes: dict[str, Any] = {"streamkit.outcome": outcome}
            attributes.update((f"streamkit.{name}", figure) for name, figure in figures.items())
            span.set_attributes(attributes)
            if error is not None:
                span.record_exception(error)
            if outcome == "failed" or error is not None:
                span.set_status(StatusCode.ERROR, None if error is None else str(error))
            span.end()
        except Exception as failure:
            _say(failure)


_NO_SPAN = StreamSpan()


def stream_span(kind: str, name: str, tenant: str) -> StreamSpan:
    """The span of a stream that this context asks for, to be started when it begins."""
    if "opentelemetry.trace" not in sys.modules:
        return _NO_SPAN
    try:
        return _RecordedSpan(kind, name, tenant)
    except Exception as error:
        _say(error)
        return _NO_SPAN


def _say(error: Exception) -> None:
    """No stream fails of what is told of it."""
    say_once(f"streams cannot be traced: {error}", error)
