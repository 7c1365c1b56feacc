"""The request that is answered: what a source may know of it, and what an adapter tells of it.

An adapter's middleware sets the context. Elsewhere, in a job or a shell, there is no request, and
it is empty.
"""

from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers

from streamkit.admission import Admission, limits
from streamkit.log import say_once

__all__ = [
    "Client",
    "Request",
    "RequestContext",
    "context",
    "known_last_event_id",
    "last_event_id",
    "request_context",
    "tenant_name",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """The method and headers of a request, the last event its client saw, and whose it is."""

    method: str = ""
    """In capitals; empty without a request."""
    headers: Headers = field(default_factory=Headers)
    """As servers hand them over: bytes decoded as latin-1."""
    last_event_id: str | None = None
    """What the client sends as ``Last-Event-ID`` (WHATWG HTML, 9.2.4); None if it sends none."""
    tenant: str = "system"
    """Who the application says the request is for."""


class Client(Protocol):
    """Who is sent a response by a thread, as far as the server lets it be seen."""

    def has_left(self) -> bool:
        """Whether it has left. What this raises breaks the response off."""
        ...

    def reset(self) -> None:
        """Break the connection off, after what was written, so that the client is sure to see it.

        Does nothing where the connection cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an adapter tells of the request that a response is to answer, and of its server.

    ``method`` and ``headers`` are what the answer is fitted to. ``headers`` are as servers hand
    them over: bytes decoded as latin-1.
    """

    method: str
    headers: Headers
    sends_files: bool = False
    """Whether the server can send an open file by itself (``wsgi.file_wrapper``)."""
    sends_paths: bool = False
    """Whether it can send the file at a path (the ASGI extension ``http.response.pathsend``)."""
    client: Callable[[bool], Client | None] | None = None
    """For a consumer on a thread. Called when the stream is opened, with whether it is live;
    returns its client, or None if it cannot be seen."""
    departure: Callable[[], Coroutine[Any, Any, object]] | None = None
    """For a consumer on a loop: waits until the client has left."""
    has_body: bool = False
    """Whether somebody may still want to read the body of the request, which ``departure`` would
    take away: it is awaited after the first chunk only."""
    inline: bool = False
    """Whether a sync source is to stay on the thread of its consumer, as if it were marked so."""
    has_siblings: bool = False
    """Whether the server says that it has other processes as well (``wsgi.multiprocess``)."""


class _NoRequest(RequestContext):
    """The context where no middleware has set one: in a job, or in a view that has none.

    There it looks as if no client ever came back, which nobody would notice.
    """

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        # A copy of it, with another value, is an application's own.
        if name == "last_event_id" and self is _NO_REQUEST:
            say_once(WITHOUT_MIDDLEWARE)
        return super().__getattribute__(name)


WITHOUT_MIDDLEWARE: Final = (
    "streamkit.context has no request, so that its last_event_id is None whatever the client sent: "
    "the application has no StreamkitMiddleware, or this is no request of its own"
)

_NO_REQUEST: Final = _NoRequest()

context: ContextVar[RequestContext] = ContextVar("streamkit.context", default=_NO_REQUEST)
"""What a source may know of the request that it answers: ``streamkit.context.get()``."""


def known_last_event_id() -> str | None:
    """The last event that the client of this request saw; None where there is no request."""
    # A job and a test, too, may follow a channel.
    found = context.get()
    return None if found is _NO_REQUEST else found.last_event_id


@contextmanager
def request_context(
    method: str,
    headers: Headers,
    tenant: object,
    query: str = "",
    streams: Admission | None = None,
) -> Generator[None]:
    """Set the context of a request for as long as the ``with`` block lasts.

    The values in ``headers`` are as servers hand them over: bytes decoded as latin-1.
    ``last_event_id`` comes from the ``Last-Event-ID`` header (WHATWG HTML 9.2) or, if that is
    absent, from the ``lastEventId`` of the ``query`` string, which clients send that cannot set
    headers; it is None if neither is there. ``tenant`` is what the application's callable returned:
    a str, or None or "" for ``"system"``; TypeError if it is anything else. ``streams`` lets the
    streams of the request in, or not, beside the limits of the blocks around this one.
    """
    token = context.set(
        RequestContext(
            method=method,
            headers=headers,
            last_event_id=last_event_id(headers, query),
            tenant=tenant_name(tenant),
        )
    )
    entrance = None if streams is None else limits.set(limits.get().within(streams))
    try:
        yield
    finally:
        if entrance is not None:
            limits.reset(entrance)
        context.reset(token)


def last_event_id(headers: Headers, query: str = "") -> str | None:
    """What a client sends as ``Last-Event-ID``, or as ``lastEventId`` in its query string."""
    if "Last-Event-ID" in headers:
        return _from_utf8(headers["Last-Event-ID"]) or None
    return next((value for name, value in parse_qsl(query) if name == "lastEventId"), None) or None


def tenant_name(value: object) -> str:
    """``value``, or ``"system"`` for None and "". Raises TypeError if it is no str."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"tenant must be a str or None, got {type(value).__name__}")
    return value or _NO_REQUEST.tenant


def _from_utf8(value: str) -> str:
    # The id that a client sends is one that a stream gave it. Both send it as UTF-8, which servers
    # decode as latin-1.
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
