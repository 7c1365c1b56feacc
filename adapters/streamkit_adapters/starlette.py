"""Starlette and FastAPI: a response is a ``starlette.responses.Response``."""

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

try:
    from starlette.requests import Request
    from starlette.responses import Response
except ImportError as error:
    raise ImportError(
        f"{__name__} needs Starlette: pip install 'streamkit-http[starlette]'"
    ) from error

from streamkit.adapting import (
    BaseStreamingService,
    Gate,
    StreamResponse,
    asgi_headers,
    asgi_pass_through,
    asgi_respond,
    raw_headers,
    scrape,
)

if TYPE_CHECKING:
    from starlette.background import BackgroundTask
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "CSVExport",
    "Download",
    "EventStream",
    "JSONExport",
    "NDJSONExport",
    "StreamingResponse",
    "StreamingService",
    "StreamkitMiddleware",
    "metrics",
]


class StreamingResponse(Response):
    """A response whose body is a stream. Its ``background`` runs once the stream is over.

    Its subclasses are for FastAPI: ``response_class=CSVExport`` names the media type in the OpenAPI
    document, and streams what an endpoint yields. Raises TypeError if it is made of anything but
    that, or what the service makes it of.
    """

    # The first argument has the name that Starlette's own have for it: FastAPI passes it by name.
    def __init__(
        self,
        content: "StreamResponse | Generator[Any] | AsyncGenerator[Any]",
        status_code: int = 200,
        background: "BackgroundTask | None" = None,
    ) -> None:
        stream = content if isinstance(content, StreamResponse) else self._stream_of(content)
        self.status_code = status_code
        self.background = background
        self.raw_headers = raw_headers(stream.headers)
        self._stream = stream

    @classmethod
    def _respond_to_yield(cls, name: str, elements: Any) -> "StreamingResponse | None":
        """The response to an endpoint of this ``name`` that yields; None if it cannot be one."""
        return None

    @classmethod
    def _stream_of(cls, content: object) -> StreamResponse:
        if inspect.isgenerator(content) or inspect.isasyncgen(content):
            generator = _own_generator(content)
            response = cls._respond_to_yield(generator.__name__, generator)
            if response is not None:
                return response._stream
        raise TypeError(_reason_against(cls.__name__, content))

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        # Not by a name for the headers, which would keep them for as long as the stream is open.
        await asgi_respond(
            self._stream, self.status_code, asgi_headers(self.raw_headers), scope, receive, send
        )
        if self.background is not None:
            await self.background()


def _reason_against(name: str, content: object) -> str:
    """Why ``content``, which an endpoint of FastAPI returned or yields, is no ``name``."""
    expected = (
        f"{name} is made by StreamingService: return what its sse, download or export returns"
    )
    if inspect.isgenerator(content) or inspect.isasyncgen(content):
        return (
            f"{expected}, and have no yield in the endpoint itself, as a download has a filename: "
            "move that to a generator, say pieces(), and return "
            "StreamingService.download(pieces(), filename=...)"
        )
    return f"{expected}, not {type(content).__name__}"


def _own_generator(content: Any) -> Any:
    """The generator of an endpoint, which FastAPI may have put another around.

    That one has a pause for each element, and would not close the endpoint's when it is closed.
    """
    if inspect.isasyncgen(content) and content.ag_frame is not None:
        inner = content.ag_frame.f_locals.get("async_gen")
        if inspect.isasyncgen(inner):
            return inner
    return content


class EventStream(StreamingResponse):
    """What ``sse`` returns."""

    media_type = "text/event-stream"

    @classmethod
    def _respond_to_yield(cls, name: str, elements: Any) -> StreamingResponse:
        return StreamingService.sse(name, elements)


class Download(StreamingResponse):
    """What ``download`` returns."""

    media_type = "application/octet-stream"


class JSONExport(StreamingResponse):
    """What ``export`` returns for ``"json"``."""

    media_type = "application/json"

    @classmethod
    def _respond_to_yield(cls, name: str, elements: Any) -> StreamingResponse:
        return StreamingService.export(name, elements, "json")


class CSVExport(StreamingResponse):
    """What ``export`` returns for ``"csv"``."""

    media_type = "text/csv"

    @classmethod
    def _respond_to_yield(cls, name: str, elements: Any) -> StreamingResponse:
        return StreamingService.export(name, elements, "csv")


class NDJSONExport(StreamingResponse):
    """What ``export`` returns for ``"ndjson"``."""

    media_type = "application/x-ndjson"

    @classmethod
    def _respond_to_yield(cls, name: str, elements: Any) -> StreamingResponse:
        return StreamingService.export(name, elements, "ndjson")


class StreamingService(BaseStreamingService[StreamingResponse]):
    """The service, returning Starlette responses."""

    @classmethod
    def respond(cls, response: StreamResponse) -> StreamingResponse:
        return StreamingResponse(response, response.status)


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request: ``app.add_middleware(StreamkitMiddleware)``.

    ``tenant`` takes the request and returns the tenant's name, or None for ``"system"``. Of the
    streams that come through it ``max_streams`` may be open at a time in a process: more are
    told to come back.
    """

    def __init__(
        self,
        app: "ASGIApp",
        *,
        tenant: Callable[[Request], str | None] | None = None,
        max_streams: int | None = None,
    ) -> None:
        self._app = app
        self._gate = Gate(tenant, max_streams)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        await asgi_pass_through(self._gate, Request, self._app, scope, receive, send)


def metrics(request: Request) -> Response:
    """An endpoint that answers Prometheus: ``app.add_route("/metrics", metrics)``."""
    # It is no coroutine function, so that Starlette calls it on a thread.
    answer = scrape(request.method, asgi_headers(request.headers.raw))
    response = Response(answer.body, answer.status)
    response.raw_headers = raw_headers(answer.headers)
    return response
