"""What comes from a Redis for all who follow something in this process: one thread, two
connections.
"""

import logging
import random
import secrets
import selectors
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, ClassVar, Final, Generic, TypeVar

from redis.exceptions import RedisError, ResponseError

from streamkit.channels.gathering import Gathering
from streamkit.channels.hubs import lock
from streamkit.channels.redis.server import Server, exchange, what_is_wrong
from streamkit.log import say

__all__ = ["Reader", "checked", "own_channel"]

T = TypeVar("T", bound=Gathering)

PATIENCE: Final = 5.0
"""Seconds that the server may take for an answer, to this thread that nobody waits for.

As long as a script may run there before others are told that it does.
"""

SILENCE: Final = 10.0
"""Seconds without a message after which the process sends one to itself."""

MIN_DELAY: Final = 0.1
MAX_DELAY: Final = 5.0
"""Seconds between two attempts to connect: twice as many after each, half of them by chance."""

SAY_INTERVAL: Final = 60.0
"""Seconds between two lines of the log that say that the server is away."""

PORTION: Final = 100
"""Topics that are read at a time: each may have megabytes for this process."""

MAX_MESSAGES: Final = 1000
"""Messages that are taken before somebody else has a turn."""


def own_channel(process: bytes) -> bytes:
    """Where a process is told what is for it alone."""
    return b"streamkit:probe:" + process


class Reader(ABC, Generic[T]):
    """Keeps what this process knows of some topics as it is on a server, and is heard of there.

    A message that is not the next of its topic, a new topic, a new connection: each time the same
    is done. What is missing is asked for, and read. What comes after it comes as a message, as the
    topic was subscribed to before. The thread ends when nobody needs it any more.
    """

    topics: ClassVar[str]
    """What it reads, in a word, for the log."""
    chores_interval: ClassVar[float]
    """Seconds between two times that there are chores."""

    def __init__(self, server: Server, process: bytes | None = None) -> None:
        """Called, like ``want`` and ``stop``, with the lock held.

        ``process`` is what others know this one by, if they are to.
        """
        self._server = server
        self.is_up = False
        """Whether it follows the channels now."""
        self.has_ended = False
        self._is_stopped = False
        self._wanted: dict[T, None] = {}
        self._subscription: Any = None
        self._questions: Any = None
        self._subscribed: dict[bytes, T] = {}
        # Subscribed to, and not yet read: a message tells nothing that is not read then.
        self._loading: set[T] = set()
        # Who waits for what came of these is yet to be woken.
        self._grown: dict[T, None] = {}
        self._unconfirmed: set[bytes] = set()
        self._probe = own_channel(process or secrets.token_hex(8).encode())
        self._heard_at = self._probed_at = 0.0
        self._chores_at = 0.0
        self._away_since: float | None = None
        self._said_at = -SAY_INTERVAL
        self._is_woken = False
        self._bell, self._rung = socket.socketpair()
        self._bell.setblocking(False)
        self._rung.setblocking(False)
        try:
            threading.Thread(target=self._run, name=f"streamkit-{self.topics}", daemon=True).start()
        except BaseException:
            self._bell.close()
            self._rung.close()
            raise

    def want(self, topic: T) -> None:
        """Read what is missing of it."""
        self._wanted[topic] = None
        self.wake()

    @abstractmethod
    def _is_needed(self) -> bool:
        """Whether there is something to read, or to be heard of."""

    @abstractmethod
    def _all(self) -> list[T]:
        """All topics there are."""

    @abstractmethod
    def _channel_of(self, topic: T) -> bytes:
        """Where the messages of a topic go."""

    @abstractmethod
    def _read(self, portion: list[T]) -> None:
        """Bring some topics up to what they are on the server: they have grown then."""

    @abstractmethod
    def _take_message(self, topic: T, content: bytes) -> None:
        """What a message of a topic tells. It may have grown by that."""

    def _take_own(self, content: bytes) -> None:
        """What a message to this process alone tells."""

    @abstractmethod
    def _do_chores(self, now: float) -> None:
        """What is to be done from time to time."""

    def _note(self, *, is_up: bool) -> None:
        """It follows the topics now, or does no longer."""

    def stop(self) -> None:
        """Let the thread end."""
        self._is_stopped = True
        self.wake()

    def forget(self) -> None:
        """Close what a child process has of it, as if it had never been."""
        self._disconnect()
        self._bell.close()
        self._rung.close()

    def wake(self) -> None:
        """Let the thread look whether there is something to be done."""
        if not self._is_woken:
            self._is_woken = True
            # Full of what wakes it already, or closed, as the thread has ended.
            with suppress(OSError):
                self._bell.send(b"!")

    # On its thread

    def _run(self) -> None:
        delay = MIN_DELAY
        try:
            while not self._is_over():
                try:
                    self._connect()
                    delay = MIN_DELAY
                    while not self._is_over():
                        self._step()
                except Exception as error:
                    # Any, or all who listen here would never hear of anything again.
                    self._say_away(error)
                # Of what came last, before the server was gone.
                self._wake_grown()
                self._disconnect()
                if not self._is_over():
                    self._pause(delay * random.uniform(0.5, 1))
                    delay = min(2 * delay, MAX_DELAY)
        finally:
            self._disconnect()
            self.has_ended = True
            self._bell.close()
            self._rung.close()

    def _is_over(self) -> bool:
        with lock:
            if self._is_stopped or not self._is_needed():
                # Now, so that who comes next finds that it has.
                self.has_ended = True
            return self.has_ended

    def _connect(self) -> None:
        self._subscribed.clear()
        self._loading.clear()
        self._subscription = self._server.connection(PATIENCE)
        self._questions = self._server.connection(PATIENCE)
        self._subscription.connect()
        self._questions.connect()
        self._subscribe([self._probe])
        now = time.monotonic()
        self._heard_at = now
        self._chores_at = 0.0
        with lock:
            topics = self._all()
            self._wanted.clear()
        self._load(topics)
        with lock:
            self.is_up = True
        self._note(is_up=True)
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            say(logging.WARNING, "%s: Redis is back, after %.1f s", self.topics, away)
            self._away_since, self._said_at = None, -SAY_INTERVAL

    def _disconnect(self) -> None:
        with lock:
            self.is_up = False
        for connection in (self._subscription, self._questions):
            if connection is not None:
                with suppress(RedisError, OSError):
                    connection.disconnect()
        self._subscription = self._questions = None

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_over() and (left := until - time.monotonic()) > 0:
            self._wait(None, left)

    def _step(self) -> None:
        """Wait for something to do, and do it."""
        now = time.monotonic()
        if now >= self._chores_at:
            self._chores_at = now + self.chores_interval
            self._do_chores(now)
        self._prove(now)
        with lock:
            is_wanted = bool(self._wanted)
        if not is_wanted and not self._subscription.can_read(0):
            due = min(self._chores_at, max(self._heard_at, self._probed_at) + SILENCE)
            self._wait(self._subscription, max(0.0, due - time.monotonic()))
        self._take_messages()
        with lock:
            wanted = [*self._wanted]
            self._wanted.clear()
        if wanted:
            self._load(wanted)

    def _wait(self, connection: Any, timeout: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._rung, selectors.EVENT_READ)
            if connection is not None:
                # Where its messages come in. There is no name for it that all versions have.
                selector.register(connection._sock, selectors.EVENT_READ)
            selector.select(timeout)
        with suppress(BlockingIOError):
            while self._rung.recv(64):
                pass
        # Only now: who finds it true has rung already, and what for is looked at after this.
        self._is_woken = False

    def _prove(self, now: float) -> None:
        """That messages come through the subscription, by one of its own if there is no other.

        An answer on it would prove less: a server answers, and a proxy may, that forgot of it.
        """
        if now - self._heard_at < SILENCE:
            return
        if self._probed_at < self._heard_at:
            self._probed_at = now
            checked(exchange(self._questions, [(b"PUBLISH", self._probe, b"")]))
        elif now - self._probed_at >= PATIENCE:
            raise ConnectionError("the subscription is silent, and hears not even of this process")

    # Messages

    def _take_messages(self) -> None:
        """All that are there."""
        subscription = self._subscription
        for _ in range(MAX_MESSAGES):
            if not subscription.can_read(0):
                break
            self._take(subscription.read_response(disable_decoding=True))
        self._wake_grown()

    def _wake_grown(self) -> None:
        grown, self._grown = self._grown, {}
        for topic in grown:
            with lock:
                wave = topic.take()
            topic.wake(wave)

    def _take(self, reply: Any) -> None:
        self._heard_at = time.monotonic()
        what, channel, content = reply
        if what == b"subscribe":
            self._unconfirmed.discard(channel)
        elif what == b"message":
            topic = self._subscribed.get(channel)
            if topic is not None and topic not in self._loading:
                self._take_message(topic, content)
            elif content and channel == self._probe:
                self._take_own(content)

    # What is missing

    def _subscribe(self, channels: Sequence[bytes]) -> None:
        """Return when the server has confirmed all: from then on nothing is missed."""
        subscription = self._subscription
        self._unconfirmed = {*channels}
        subscription.send_packed_command(
            subscription.pack_command(b"SUBSCRIBE", *channels), check_health=False
        )
        until = time.monotonic() + PATIENCE
        while self._unconfirmed:
            self._take(subscription.read_response(disable_decoding=True))
            if time.monotonic() > until:
                raise ConnectionError("subscriptions were not confirmed")

    def _load(self, topics: Iterable[T]) -> None:
        """Read what is missing of some topics, new ones among them."""
        rest = iter(topics)
        while portion := [*islice(rest, PORTION)]:
            names = {self._channel_of(topic): topic for topic in portion}
            new = [name for name, topic in names.items() if self._subscribed.get(name) is not topic]
            self._loading.update(portion)
            self._subscribed |= names
            if new:
                self._subscribe(new)
            self._read(portion)
            self._loading.difference_update(portion)
            self._take_messages()

    def _unsubscribe(self, topics: Iterable[bytes]) -> None:
        """From those of these channels that are subscribed to."""
        gone = [name for name in topics if self._subscribed.pop(name, None) is not None]
        if gone:
            self._subscription.send_packed_command(
                self._subscription.pack_command(b"UNSUBSCRIBE", *gone), check_health=False
            )

    def _say_away(self, error: Exception) -> None:
        self._note(is_up=False)
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now - self._said_at >= SAY_INTERVAL:
            self._said_at = now
            say(
                logging.WARNING,
                "%s: Redis is away, or does not do what is asked: %s. Who listens stays, and gets "
                "what it misses when Redis is back, or is told that it is not to be had",
                self.topics,
                what_is_wrong(error),
                # What comes from Redis says what is wrong, and what is unexpected where.
                error=None if isinstance(error, RedisError | OSError) else error,
            )


def checked(replies: list[Any]) -> None:
    """Raise the first of these that is an error of the server's."""
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise reply
