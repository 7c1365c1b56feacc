"""What an ASGI server tells an application: the body of its request, and that the client has left.

Both come by the same ``receive``, which gives each message once. Whoever looks for the departure of
a client takes the body away from a source that reads it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from werkzeug.datastructures import Headers

from streamkit.log import say_once

__all__ = ["Body", "Receive", "departure", "may_have_body", "request_body"]

Receive = Callable[[], Awaitable[Any]]

MAX_PAUSE: Final = 0.5
"""Seconds between two looks at a ``receive`` that goes on giving bodies; so often a server of WSGI
is looked at as well (``streamkit.stream.chunks``)."""


class Body:
    """A ``receive`` that notes how much of the body was taken, for those who stand back from it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_over = False
        # Of who waits for the reader: hardly ever is there one.
        self._over: asyncio.Event | None = None
        self.is_begun = False

    async def __call__(self) -> Any:
        message = await self._receive()
        self.is_begun = True
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._is_over = True
            if self._over is not None:
                self._over.set()
        return message

    async def leave_to_reader(self) -> None:
        """Return once it was read to its end, if somebody has begun to."""
        if self.is_begun and not self._is_over:
            self._over = self._over or asyncio.Event()
            await self._over.wait()


request_body: ContextVar[Body | None] = ContextVar("streamkit.request_body", default=None)
"""Of the request that is handled, as the middleware has noted it."""


def may_have_body(method: str, headers: Headers) -> bool:
    """Whether a request has a body, or might have one whose length it does not tell.

    That of GET and HEAD means nothing (RFC 9110, section 9.3.1).
    """
    if method in ("GET", "HEAD"):
        return False
    if "Content-Length" in headers:
        return headers["Content-Length"] != "0"
    return "Transfer-Encoding" in headers or method in ("PATCH", "POST", "PUT")


async def departure(receive: Receive) -> None:
    """Read away what is left of the request's body, and return when the client leaves.

    Never returns where ``receive`` does not tell. Some middleware gives the same body again and
    again, or raises when it is asked for more than that. Is to be run as a task, and ends once that
    is cancelled, whatever ``receive`` makes of it.
    """
    body = request_body.get()
    if body is not None:
        await body.leave_to_reader()
    pause = 0.0
    while True:
        try:
            message = await receive()
        except Exception as error:
            _raise_if_cancelled()
            name = type(error).__name__
            say_once(f"departures of clients are not seen, since receive() raised {name}", error)
            break
        _raise_if_cancelled()
        if message["type"] == "http.disconnect":
            return
        if not message.get("more_body", False):
            pause = min(MAX_PAUSE, 2 * pause or 0.001)
        # Not kept until the next one, which is the last of most streams.
        del message
        # A loop would never turn again if receive() always has an answer.
        await asyncio.sleep(pause)
    await asyncio.get_running_loop().create_future()


def _raise_if_cancelled() -> None:
    """Be cancelled, also where what was awaited has kept it to itself.

    A task group raises what failed in it instead, and ``wait_for`` of Python 3.11 returns what came
    at the same moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
