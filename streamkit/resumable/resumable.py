"""Answers by their keys: started once, followed from anywhere, and stopped."""

from collections.abc import AsyncIterable, Iterable
from typing import Any, Final

from streamkit.arguments import check_name
from streamkit.loop import running_loop
from streamkit.request import known_last_event_id
from streamkit.resumable.answer import Answer
from streamkit.resumable.keepers import keeper
from streamkit.source import Inline, Lossless, check_source

__all__ = ["Resumable"]

MAX_LENGTH: Final = 200
"""Characters of a name, and of a key. They stand in the name of a key of Redis, and in the log."""


class Resumable:
    """A handle on the answers of this name: no I/O, no thread, no loop; equal by name.

    An answer is what a source yields once, a model's tokens or the lines of a job, kept whole: it
    goes on when its client leaves, is followed from anywhere, and can be stopped::

        answers = Resumable("answers")
        StreamingService.sse("answer", answers.start(key, tokens(prompt)))  # in a view
        StreamingService.sse("answer", answers.follow(key))  # in any, of any process
        answers.stop(key)

    It is kept where ``streamkit.channels.use`` says, in memory or in Redis, up to 16 MiB of it, and
    for an hour after its end. Raises TypeError if ``name`` is no str, and ValueError if it is
    blank, not printable or longer than 200 characters.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        _check("name", name)
        self._name = name

    @property
    def name(self) -> str:
        """What its answers are called."""
        return self._name

    def start(self, key: str, source: Iterable[Any] | AsyncIterable[Any] | Lossless[Any]) -> Answer:
        """The answer of this key, which ``source`` makes unless it is there already.

        For ``sse``, without ``serialize``. ``source`` yields what ``sse`` takes: JSON values, str,
        ``ServerSentEvent`` without an id. It begins with the first chunk, and goes on to its end
        whether or not anybody follows, on a task of this loop, or a thread, under a copy of the
        caller's context. It is closed unread where there is nothing to be sent, where the answer is
        there already, and for a client that comes with a ``Last-Event-ID``: that one follows.

        Raises TypeError and ValueError for a ``key`` like those of ``name``, and for what is no
        source, or one that is to stay on its consumer's thread.
        """
        _check("key", key)
        events = source.events if isinstance(source, Lossless) else source
        if isinstance(events, Inline):
            raise TypeError(
                "source must not be inline: it goes on when the thread that serves the request has "
                "gone on to another one. Pass the iterable itself"
            )
        check_source("source", events)
        return Answer((self._name, key), known_last_event_id(), events)

    def follow(self, key: str) -> Answer:
        """The answer of this key, from behind the client's ``Last-Event-ID``, or the beginning.

        For ``sse``. To who has seen it to its end, and where there is none, there is nothing more:
        the response is a 204. Raises as ``start`` does for a ``key``.
        """
        _check("key", key)
        return Answer((self._name, key), known_last_event_id())

    def stop(self, key: str) -> bool:
        """End the answer of this key now, from any process; return whether it was running.

        Who follows gets the end, and its source is closed: at once if it is async, and when it next
        yields if it is not. Raises RuntimeError on an event loop, where ``astop`` is for that, and
        ConnectionError if Redis does not answer.
        """
        _check("key", key)
        if running_loop() is not None:
            raise RuntimeError(
                "stop would block the event loop, wherever answers are kept: await astop(…)"
            )
        return keeper().stop((self._name, key))

    async def astop(self, key: str) -> bool:
        """``stop`` on an event loop."""
        _check("key", key)
        return await keeper().astop((self._name, key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resumable) and other._name == self._name

    def __hash__(self) -> int:
        return hash((Resumable, self._name))

    def __repr__(self) -> str:
        return f"Resumable({self._name!r})"


def _check(argument: str, value: str) -> None:
    check_name(argument, value)
    if len(value) > MAX_LENGTH:
        raise ValueError(
            f"{argument} must not be longer than {MAX_LENGTH} characters, got {len(value)}"
        )
