"""Who reads an event stream, as far as the request tells."""

from collections.abc import Callable

from werkzeug.datastructures import Headers
from werkzeug.http import parse_set_header

from streamkit.encoders import SSEEncoder
from streamkit.feed import Subscribable
from streamkit.http.headers import ResponseHeaders
from streamkit.http.negotiation import Answer, Negotiator
from streamkit.plan import Plan
from streamkit.request import last_event_id

__all__ = ["Events", "is_event_source"]


class Events(Negotiator):
    """Fits to its reader how a comment ends.

    To the standard a blank line behind a comment, or behind a ``retry:`` by itself, means nothing
    (WHATWG HTML, 9.2.6). fetch-event-source makes an empty event of it, and so do httpx-sse and
    openai-python once an id or a ``retry`` was seen. All of these say in ``Accept`` what they want
    to have. Who does not, or wants anything, may be code by hand that splits at blank lines and
    looks for ``data:`` at the start: it would lose the event behind a comment that had none.
    """

    def __init__(self, encoder: Callable[[], SSEEncoder]) -> None:
        """``encoder`` makes one that puts no blank line behind a comment."""
        self._encoder = encoder

    def negotiate(
        self, plan: Plan, method: str, request: Headers, status: int, headers: ResponseHeaders
    ) -> Answer:
        """The answer, with another encoder where the client names a type. No header changes."""
        source, encoder = plan.source, plan.encoder
        if any("*" not in media_type for media_type in _accepted(request)):
            encoder = self._encoder()
        if isinstance(source, Subscribable):
            # The application may have no middleware that tells it.
            source = source.resumed(last_event_id(request))
        return Answer(status, Plan(plan.kind, source, encoder))


def is_event_source(request: Headers) -> bool:
    """Whether a browser's ``EventSource`` asks, by the two headers that the standard has it send.

    WHATWG HTML, 9.2.2 "The EventSource interface", the constructor's steps: it sends ``Accept``
    and, by its cache mode, ``Cache-Control``. fetch-event-source sends the first alone.
    """
    directives = parse_set_header(request.get("Cache-Control"))
    return "no-cache" in directives and "text/event-stream" in _accepted(request)


def _accepted(request: Headers) -> set[str]:
    """The media ranges of ``Accept``, without their parameters."""
    listed = ",".join(request.getlist("Accept")).split(",")
    return {media_range.partition(";")[0].strip().lower() for media_range in listed} - {""}
