"""What a response says, fitted to what a request asks for."""

from dataclasses import dataclass
from random import randint
from typing import Final

from werkzeug.datastructures import Headers
from werkzeug.http import is_entity_header

from streamkit.http.headers import ResponseHeaders
from streamkit.plan import Plan
from streamkit.resource import FileResource

__all__ = [
    "BODILESS",
    "Answer",
    "Negotiator",
    "describe_no_body",
    "describe_rejection",
    "without_body",
]

BODILESS: Final = frozenset({204, 304, 412, 416})
"""What is sent without a body: the first two by RFC 9110, sections 15.3.5 and 15.4.5; of the others
there is nothing to say."""

RETRY_AFTER: Final = (1, 10)
"""Seconds between which clients are to come back that were not let in, each at a time of its own so
that they do not all come at once (RFC 9110, section 10.2.3)."""

KEPT_WITHOUT_BODY: Final = frozenset({"expires", "content-location", "last-modified"})
"""What a cache may want to know even of a body that is not sent (RFC 9110, section 15.4.5)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be sent to one request."""

    status: int
    plan: Plan | None
    """None: only the head is sent."""
    file: FileResource | None = None
    """The file that is all of the body, from its first byte on, if that is so."""


class Negotiator:
    """What a response says. This one is the same whatever is asked."""

    def negotiate(
        self, plan: Plan, method: str, request: Headers, status: int, headers: ResponseHeaders
    ) -> Answer:
        """The answer to a request of this ``method`` and with these headers.

        ``plan``, ``status`` and ``headers`` are those of the response that would be, whatever was
        asked. Changes ``headers`` to those of the answer and nothing else: no source is started, no
        file opened or closed.
        """
        return Answer(status, plan)


def without_body(headers: ResponseHeaders) -> None:
    """Leave out what describes a body."""
    for name in [*headers.keys()]:
        if is_entity_header(name) and name.lower() not in KEPT_WITHOUT_BODY:
            del headers[name]
    del headers["Content-Disposition"]


def describe_no_body(status: int, headers: ResponseHeaders) -> None:
    """Where a ``status`` has no body, of which ``headers`` may still tell: say that it is empty."""
    if status in (412, 416):
        _describe_nothing(headers)


def describe_rejection(headers: ResponseHeaders) -> None:
    """Tell of nothing but when to come back."""
    without_body(headers)
    for name in ("Accept-Ranges", "ETag", "Last-Modified"):
        del headers[name]
    headers["Retry-After"] = str(randint(*RETRY_AFTER))
    _describe_nothing(headers)


def _describe_nothing(headers: ResponseHeaders) -> None:
    # Checkers of PEP 3333 ask for a type even so.
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["Content-Length"] = "0"
