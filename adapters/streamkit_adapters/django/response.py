"""The response, which is read by ``for`` under WSGI and by ``async for`` under ASGI."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final, Self, cast

from asgiref.sync import sync_to_async
from django import VERSION
from django.core.exceptions import BadRequest
from django.http import HttpRequest, StreamingHttpResponse
from werkzeug.datastructures import EnvironHeaders

from streamkit.adapting import (
    BLOCK_BYTES,
    AsyncChunks,
    Chunks,
    ClientLeft,
    FellBehind,
    Once,
    Reply,
    Request,
    ServerFile,
    StreamResponse,
    aclose,
    running_loop,
    wsgi_request,
)
from streamkit_adapters.django.connections import give_back, give_back_elsewhere, move_here
from streamkit_adapters.django.testcase import read_on_loop, read_on_thread

__all__ = ["StreamingResponse", "through_asgi"]

through_asgi: Final[ContextVar[bool | None]] = ContextVar("through_asgi", default=None)
"""Whether the request came through ASGI; None if no middleware of ours has told."""


class StreamingResponse(StreamingHttpResponse):
    """A response whose body is a stream, from a sync or an async source, under WSGI and ASGI.

    Middleware may put another iterator around ``streaming_content``, sync or async: it is streamed
    as well, and never collected.
    """

    _resource_closers: list[Callable[[], object]]
    """What Django's own ``close`` calls."""
    block_size = BLOCK_BYTES
    _content: Any

    def __init__(self, response: StreamResponse) -> None:
        self.stream = response
        self._body: Any = _Body(response)
        self._through_asgi = through_asgi.get()
        self._prepares = Once()
        super().__init__(
            cast("Any", self._body), status=response.status, headers=dict(response.headers.items())
        )

    @property
    def streaming_content(self) -> Any:
        return self._content

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self._content = value
        if value is not self._body:
            # The ranges that were announced are those of what was there before.
            del self["Accept-Ranges"]
        if hasattr(value, "close"):
            self._resource_closers.append(value.close)

    @property
    def is_async(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether middleware is to read ``streaming_content`` with ``async for``."""
        if self._content is not self._body:
            return not hasattr(self._content, "__iter__")
        return running_loop() is not None if self._through_asgi is None else self._through_asgi

    def __iter__(self) -> Iterator[bytes]:
        if hasattr(self._content, "__iter__"):
            # Middleware around ours, such as that of sessions, may have connected anew.
            if not isinstance(self._content, _Bytes):
                give_back(self.stream)
            return iter(self._content)
        if running_loop() is not None:
            raise RuntimeError("on an event loop a streaming response is read with 'async for'")
        return iter(self.stream.around(self._content))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._content
        if not hasattr(content, "__aiter__"):
            content = self.stream.around(content)
        chunks = aiter(content)
        try:
            if not isinstance(content, _Bytes):
                give_back_elsewhere(self.stream)
            async for chunk in chunks:
                yield chunk
        except BaseException as error:
            await aclose(self._body)
            if chunks is not self._body:
                await aclose(chunks)
            # Django's ASGI handler does not close a response that fails or cannot be sent.
            await sync_to_async(self.close)()
            if isinstance(error, FellBehind):
                # The log tells of that already. Django's handler takes this for a client that has
                # left, and returns: a server breaks off what has no end by then.
                raise asyncio.CancelledError from error
            raise

    def getvalue(self) -> bytes:
        return b"".join(self)

    def prepare(self, request: HttpRequest) -> None:
        """Fit the response to ``request``, and take the first chunk: a source may fail here.

        Only the first call does so, since ``MIDDLEWARE`` may have ours more than once. Raises what
        the source raises before its first element, and BadRequest if the client has left.
        """
        if not self._prepares():
            return
        neutral_request, method = wsgi_request(request.META), request.method or ""
        if self._is_wrapped:
            self._begin_around(replace(neutral_request, method=method))
            return
        try:
            inline = _move_to_thread(self.stream)
            if method != "HEAD":
                give_back(self.stream)
            neutral_request = replace(neutral_request, method=method, inline=inline)
            reply = self.stream.begin(neutral_request, self.status_code, self.headers)
        except ClientLeft as error:
            # Django reports other errors to the administrators of the site, and this is none of it.
            raise BadRequest(error.strerror) from error
        self._send(reply)

    async def aprepare(self, request: HttpRequest) -> None:
        """``prepare`` under ASGI."""
        if not self._prepares():
            return
        neutral_request = Request(method=request.method or "", headers=EnvironHeaders(request.META))
        if self._is_wrapped:
            self._begin_around(neutral_request)
            return
        await _move_to_loop(self.stream)
        if neutral_request.method != "HEAD":
            give_back_elsewhere(self.stream)
        self._send(await self.stream.abegin(neutral_request, self.status_code, self.headers))

    @property
    def _is_wrapped(self) -> bool:
        """Whether a middleware has put something around the stream, or in its place."""
        return self._content is not self._body

    def _begin_around(self, neutral_request: Request) -> None:
        reply = self.stream.begin_around(
            self._content, neutral_request, self.status_code, self.headers
        )
        self.status_code = reply.status
        if isinstance(reply.body, bytes):
            self._content = _Bytes(reply.body)

    def _send(self, reply: Reply[Any]) -> None:
        self.status_code = reply.status
        is_short = isinstance(reply.body, bytes)
        self._content = self._body = _Bytes(reply.body) if is_short else reply.body

    @property
    def file_to_stream(self) -> ServerFile | None:
        """What Django's WSGI handler hands to a server that sends files by itself."""
        return self._content if isinstance(self._content, ServerFile) else None

    def has_header(self, header: str) -> bool:
        # GZipMiddleware asks for Content-Encoding, and compresses what has none. It would keep
        # events back until it has a block full; before Django 6 it makes a whole archive of each
        # async chunk, of which clients read the first; and a part would no longer be one of the
        # bytes that its Content-Range counts. A workbook is compressed already. Of the nothing of a
        # 304, and of the short text of an error, it would make a body; the answer to HEAD has what
        # the whole would have.
        is_left_alone = (
            self.stream.live
            or self.stream.is_compressed
            or self.status_code == 206
            or (isinstance(self._content, _Bytes) and self.status_code != 200)
            or (self.is_async and VERSION < (6,))
        )
        return (is_left_alone and header.lower() == "content-encoding") or super().has_header(
            header
        )

    def close(self) -> None:
        # Each call of Django's own close would send request_finished.
        if self.closed:
            return
        try:
            if isinstance(self._body, ServerFile):
                # Django puts this very method in the place of the file's own close, which is called
                # by way of its class therefore.
                ServerFile.close(self._body)
        finally:
            super().close()


class _Body:
    """The chunks of a stream, opened for a thread or a loop by whichever asks first."""

    def __init__(self, stream: StreamResponse) -> None:
        self._stream = stream
        self._chunks: Any = None
        self.close = stream.close

    def __iter__(self) -> Chunks:
        if self._chunks is None:
            self._chunks = self._stream.chunks(inline=_move_to_thread(self._stream))
        return cast("Chunks", self._chunks)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._chunks is None:
            await _move_to_loop(self._stream)
            self._chunks = aiter(self._stream)
        return await anext(cast("AsyncChunks", self._chunks))

    async def aclose(self) -> None:
        await aclose(self._chunks)


class _Bytes:
    """A short body, or an empty one, read either way and without a thread."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        if self._body:
            yield self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def _move_to_thread(stream: StreamResponse) -> bool:
    """Have the stream encoded on this thread; return whether its source is to be read here too.

    Changes the stream's contexts. Closes the stream if it raises.
    """
    try:
        stream.encoder_context.run(move_here)
        return read_on_thread(stream)
    except BaseException:
        stream.close()
        raise


async def _move_to_loop(stream: StreamResponse) -> None:
    """Have the stream encoded on the running loop.

    Changes the stream's contexts. Closes the stream if it raises.
    """
    try:
        stream.encoder_context.run(move_here)
        await read_on_loop(stream)
    except BaseException:
        stream.close()
        raise
