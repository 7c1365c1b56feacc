"""What a process hears of answers: those that it follows and does not make, and those it makes."""

import time
from math import inf
from typing import Any, ClassVar, Final, Protocol

from redis.exceptions import ResponseError

from streamkit import signals
from streamkit.channels.hubs import lock
from streamkit.channels.redis.reader import Reader, checked
from streamkit.channels.redis.server import Server, exchange, run_scripts
from streamkit.log import say_once
from streamkit.resumable.log import Ending, Log
from streamkit.resumable.production import Production
from streamkit.resumable.redis.script import (
    LAST_RENEWAL,
    RENEWAL,
    blocks_from,
    channel_of,
    ending_from,
    fail,
    id_from,
    keys_of,
    look,
    renew,
)

__all__ = ["AnswerReader", "Answers"]

ENTRIES: Final = 1000
"""How many entries are read at a time. What an answer may have in all is not much for one reply."""

SLACK: Final = 0.1
"""Seconds after the end of a lease when it is looked at: it is to have run out by then."""

LINGER: Final = 60.0
"""Seconds that the connections stay when there is no answer, for the next one."""


class Answers(Protocol):
    """The answers of this process. All of it is called with the lock held."""

    followed: dict[Log, None]
    """Those that are followed, or looked for, and made elsewhere."""
    running: dict[Log, Production]
    """Those that are made here, and have not ended."""

    def cut(self, log: Log, ending: Ending) -> None:
        """It was ended by another. Without the lock."""

    def end(self, log: Log, ending: Ending) -> object:
        """It has ended, as its log has it. Without the lock."""


class AnswerReader(Reader[Log]):
    """Fills the logs that are followed, renews the leases of those that are made, hears of stops.

    Its thread ends when there was nothing of that for a minute, or no more is to come.
    """

    topics: ClassVar[str] = "answers"
    # Not more often than needed are leases looked at: see ``_look_at``.
    chores_interval: ClassVar[float] = 1.0

    def __init__(self, server: Server, answers: Answers, process: bytes) -> None:
        self._answers = answers
        self._needed_at = time.monotonic()
        self.is_last = False
        """Whether no answer is to come that did not come already."""
        self._renewed_at = -inf
        # When the lease of an answer that is followed may have run out.
        self._look_at: dict[Log, float] = {}
        super().__init__(server, process)

    def _is_needed(self) -> bool:
        now = time.monotonic()
        if self._answers.followed or self._answers.running:
            self._needed_at = now
            return True
        return not self.is_last and now - self._needed_at < LINGER

    def _all(self) -> list[Log]:
        self._renewed_at = -inf
        return [*self._answers.followed]

    def _channel_of(self, topic: Log) -> bytes:
        return channel_of(topic.name, self._server.database)

    def _take_own(self, content: bytes) -> None:
        what, _, key = content.partition(b" ")
        with lock:
            stopped = [log for log in self._answers.running if keys_of(log.name)[0] == key]
        if what == b"stop":
            for log in stopped:
                self._answers.cut(log, Ending.STOPPED)

    def _take_message(self, topic: Log, content: bytes) -> None:
        entry_id, _, field = content.partition(b" ")
        found = id_from(entry_id)
        if found is not None and found == (topic.epoch, len(topic.entries) + 1) and field:
            self._apply(topic, field)
        elif found is None or found > (topic.epoch, len(topic.entries)):
            with lock:
                self._wanted[topic] = None

    def _read(self, portion: list[Log]) -> None:
        with lock:
            asked = [log.asked for log in portion]
        looks = [look(log.name, self._server.database) for log in portion]
        now = time.monotonic()
        for log, number, reply in zip(
            portion, asked, run_scripts(self._questions, looks), strict=True
        ):
            if isinstance(reply, ResponseError):
                if not _is_strangers(reply):
                    raise reply
                say_once(f"answer {log.name!r} is not to be read: {reply}")
                reply = None
            found, left = (id_from(reply[0]), reply[1]) if reply else (None, 0)
            if found is None:
                self._miss(log, number)
                continue
            epoch, top = found
            if log.epoch not in (0, epoch):
                # It was used again, after its log was gone.
                self._miss(log, number)
                continue
            self._look_at[log] = now + left / 1000 + SLACK
            with lock:
                if log in self._answers.followed and not log.epoch:
                    log.begin(epoch)
            self._read_up_to(log, top)
            self._grown[log] = None

    def _read_up_to(self, log: Log, top: int) -> None:
        stream = keys_of(log.name)[0]
        while log.is_running and len(log.entries) < top and log in self._answers.followed:
            first = b"%d-%d" % (log.epoch, len(log.entries) + 1)
            last = b"%d-%d" % (log.epoch, top)
            (entries,) = exchange(
                self._questions, [(b"XRANGE", stream, first, last, b"COUNT", b"%d" % ENTRIES)]
            )
            checked([entries])
            if not entries:
                self._miss(log, 0)
                return
            for entry_id, fields in entries:
                is_next = id_from(entry_id) == (log.epoch, len(log.entries) + 1)
                if not is_next or not self._apply(log, fields[1] if len(fields) == 2 else b""):
                    self._miss(log, 0)
                    return
            # Of many answers, or large ones, there is more to read than a lease lasts.
            self._keep_leases(time.monotonic())

    def _apply(self, log: Log, field: bytes) -> bool:
        """Add an entry, or the end; whether it is one."""
        ending, blocks = ending_from(field), blocks_from(field)
        with lock:
            # By now it may be made here, which is when it is written here.
            if log in self._answers.followed and log.is_running:
                if ending is not None:
                    log.end(ending)
                elif blocks is not None:
                    log.append(blocks)
        self._grown[log] = None
        return ending is not None or blocks is not None

    def _miss(self, log: Log, asked: int) -> None:
        """It is nowhere, or not any more."""
        with lock:
            if log in self._answers.followed and log.is_running:
                log.end(Ending.INTERRUPTED)
            log.unknown_for = max(log.unknown_for, asked)
        self._grown[log] = None

    def _do_chores(self, now: float) -> None:
        self._keep_leases(now)
        with lock:
            followed = {*self._answers.followed}
        gone = [name for name, log in self._subscribed.items() if log not in followed]
        self._unsubscribe(gone)
        for log in [*self._look_at]:
            if log not in followed or log.ending is not None:
                del self._look_at[log]
        due = [log for log, at in self._look_at.items() if at <= now]
        if due:
            self._read(due)

    def _keep_leases(self, now: float) -> None:
        """Renew them, if it is time."""
        is_last = signals.is_shut_down()
        if now >= self._renewed_at + (LAST_RENEWAL if is_last else RENEWAL):
            self._renewed_at = now
            with lock:
                running = dict(self._answers.running)
            self._renew(running, is_last=is_last)

    def _renew(self, running: dict[Log, Production], *, is_last: bool) -> None:
        logs = [*running]
        orphans = {log for log in logs if running[log].is_orphaned}
        asked: list[Any] = []
        for log in logs:
            named = log.name, running[log].token, self._server.database
            asked.append(fail(*named) if log in orphans else renew(*named, is_last=is_last))
        replies = run_scripts(self._questions, asked)
        checked([reply for reply in replies if not _is_strangers(reply)])
        for log, reply in zip(logs, replies, strict=True):
            if log in orphans:
                self._answers.end(log, Ending.FAILED)
            elif reply != 1:
                self._answers.cut(log, ending_from(reply) or Ending.INTERRUPTED)


def _is_strangers(reply: Any) -> bool:
    """Whether it says that the key is somebody else's: that is to cost no other answer anything."""
    return isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE")
