"""Source, pump, buffer and encoder put together for one consumer."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from streamkit import signals
from streamkit.errors import NothingMore
from streamkit.feed import ConsumerSide, Subscribable, Subscription
from streamkit.metrics import Outcome
from streamkit.plan import Plan
from streamkit.source import Source
from streamkit.stream.background import background_loop
from streamkit.stream.batches import Agenda, Batches
from streamkit.stream.lifetime import Duty, Lifetime
from streamkit.stream.pump import InlinePump, NoPump, Pump, TaskPump, ThreadPump
from streamkit.stream.setting import Setting
from streamkit.stream.unread import close_unread
from streamkit.wake import LoopWake, ThreadWake

__all__ = ["AsyncWait", "Pipeline", "Wait", "follower", "on_loop", "on_thread"]

Wait = Callable[[Callable[[], bool], float | None], bool]
"""Returns once notified, when what it is passed already holds, or, false, after so many seconds."""

AsyncWait = Callable[[Callable[[], bool]], "asyncio.Future[None] | None"]
"""What to await until notified; None when what it is passed already holds."""

follower: ContextVar[Callable[[Any], object]] = ContextVar(
    "streamkit.follower", default=lambda stream: None
)
"""Is shown each stream of its context that is opened, or closed unread. ``streamkit.testing`` finds
them so.
"""

TakeLatest = Callable[[Any, int, Callable[[Any], bytes]], bytes | None]

W = TypeVar("W", Wait, AsyncWait)


def on_thread(plan: Plan, setting: Setting, *, inline: bool = False) -> "Pipeline[Wait]":
    """A pipeline whose consumer is a thread.

    ``inline`` keeps a sync source on that thread; one that never waits is kept there anyway. Raises
    what ``background_loop`` does where an async source needs that.
    """
    source = Source(plan.source)
    if isinstance(plan.source, Subscribable):
        return _subscribed(plan.source.subscribe(None), source, plan, setting)
    is_async = source.reads_async(on_loop=False)
    if not is_async and (inline or source.inline or source.never_waits):
        inline_pump = InlinePump(source, plan.kind, setting.context)
        return Pipeline(plan, setting, inline_pump, inline_pump.read_on)
    wake = ThreadWake()
    pump: Pump[Any]
    if is_async:
        pump = TaskPump(source, plan.kind, setting.context, wake, background_loop())
    else:
        pump = ThreadPump(source, plan.kind, setting.context, wake)
    return Pipeline(plan, setting, pump, wake.wait)


def on_loop(plan: Plan, setting: Setting, loop: asyncio.AbstractEventLoop) -> "Pipeline[AsyncWait]":
    """A pipeline whose consumer is a task of ``loop``.

    Raises RuntimeError if an inline source would block ``loop``.
    """
    source = Source(plan.source)
    if isinstance(plan.source, Subscribable):
        return _subscribed(plan.source.subscribe(loop), source, plan, setting)
    if reason := source.reason_against_loop():
        raise RuntimeError(reason)
    wake = LoopWake(loop)
    pump: Pump[Any]
    if source.reads_async(on_loop=True):
        pump = TaskPump(source, plan.kind, setting.context, wake, loop)
    else:
        pump = ThreadPump(source, plan.kind, setting.context, wake)
    return Pipeline(plan, setting, pump, wake.waiter)


class Consumer(Protocol):
    """Is told by any thread of what it would not notice itself while it is away with a chunk."""

    def hear_of_due(self) -> None: ...
    def hear_of_retiring(self) -> None: ...
    def hear_of_leaving(self) -> None: ...
    def hear_of_settling(self) -> None: ...


def _subscribed(
    feed: Subscription, source: Source, plan: Plan, setting: Setting
) -> "Pipeline[Any]":
    try:
        return Pipeline(plan, setting, NoPump(source, setting, feed), feed.wait)
    except BaseException:
        feed.abandon()
        raise


class Pipeline(Generic[W]):
    """One open stream, from its source to its chunks.

    Everything here is called by the consumer, but for ``retire`` and ``leave``, which any thread
    may call, and what the pump calls when it has closed the source.
    """

    __slots__ = (
        "_encode_one",
        "_encoder",
        "_encoder_context",
        "_pump",
        "_record",
        "_setting",
        "_take_latest",
        "agenda",
        "batches",
        "buffer",
        "consumer",
        "kind",
        "lifetime",
        "nothing_more",
        "returns_by",
        "wait",
    )

    def __init__(self, plan: Plan, setting: Setting, pump: Pump[Any], wait: W) -> None:
        self.consumer: Callable[[], Consumer | None] | None = None
        """Who hears of what happens to the stream while it is away with a chunk."""
        self.returns_by = inf
        """When, by ``time.monotonic()``, a thread that waits in vain is to have ``b""``, once."""
        self.nothing_more = False
        """Whether the source said so in place of a first element."""
        self.kind = plan.kind
        self.buffer: ConsumerSide = pump.buffer
        self.wait: W = wait
        """What the consumer waits with."""
        self.lifetime = Lifetime()
        self.agenda = Agenda(plan.kind)
        self._setting = setting
        self._record = setting.record
        self._encoder_context = setting.encoder_context
        self._encoder = plan.encoder
        # A method is looked up and made anew for each event that would name it. The function itself
        # is no object more, and is called without one in between.
        self._take_latest: TakeLatest = type(pump.buffer).take_latest
        self._encode_one = plan.encoder.encode_one
        self._pump: Pump[Any] | None = pump
        self.batches = Batches(pump.buffer, plan.encoder, self.agenda, setting.record)
        follower.get()(self)

    def start(self) -> None:
        """The consumer is about to wait for its first chunk. Idempotent."""
        pump = self._pump
        if self.lifetime.take() is not Duty.START or pump is None:
            return
        try:
            self._setting.open(self.buffer)
            self.agenda.begin()
            if self.kind.max_age is not None:
                signals.add(self)
            pump.start(self._source_closed)
        except BaseException as error:
            # There is no thread to be had, say. An interrupt may come when there is one already.
            if pump.claim_source():
                self._do(self.lifetime.fail_to_start(), pump)
            self.leave("failed", error)
            raise
        if self.lifetime.has_left:
            # Another thread made it leave before there was something to stop.
            pump.stop()

    def take(self) -> bytes | None:
        """The next chunk; or None: then either the consumer has left, or it is to wait.

        An empty chunk says that the next is being made, and that others may have a turn meanwhile.

        Raises what the source or the encoder raised, after the chunks before it.
        """
        batches, chunk = self.batches, None
        if monotonic() < self.agenda.plain_until and not batches.has_more:
            # The short way, which an event takes that comes by itself.
            try:
                chunk = self._encoder_context.run(
                    self._take_latest, self.buffer, batches.dropped_told, self._encode_one
                )
            except BaseException as error:
                self._fail(error)
                return None
            if self._encoder.refused:
                batches.report_refused()
        if not chunk:
            chunk = self._take_of_batch()
        if self.lifetime.has_left:
            # Another thread has made it leave meanwhile, and may have taken elements of this very
            # batch, which may have come in hand after that thread has let go of it. What is cut off
            # does not go on to its end.
            self.batches.close()
            return None
        if chunk:
            record = self._record
            record.sent += len(chunk)
            if record.is_told:
                record.tell()
        return chunk

    def _take_of_batch(self) -> bytes | None:
        """The next chunk of what is drained, whatever goes out with it, or of a batch in hand."""
        try:
            chunk = self._encoder_context.run(self.batches.take)
        except BaseException as error:
            self._fail(error)
            return None
        if chunk:
            self.buffer.away_since = monotonic()
        elif self.batches.outcome is not None:
            self.leave(self.batches.outcome)
        return chunk

    def _fail(self, error: BaseException) -> None:
        """Leave for ``error``, and raise it, unless it only says that there is nothing more."""
        if self._is_nothing_more(error):
            self.nothing_more = not self._record.has_sent
            self.leave("completed", error)
            return
        self.leave("failed", error)
        if isinstance(error, StopIteration | StopAsyncIteration):
            # It would pass for the end of the chunks (cf. PEP 479).
            kind = type(error).__name__
            raise RuntimeError(f"a source or serializer raised {kind}") from error
        raise error

    def timeout(self) -> float | None:
        """Seconds until the consumer must ``take`` again even if nothing was offered.

        None: for as long as it takes.
        """
        due = min(self.agenda.due, self.returns_by)
        return None if due == inf else max(0.0, due - monotonic())

    def is_takeable(self) -> bool:
        """Whether a ``take`` now is not just a matter of waiting."""
        return self.buffer.readable_now() or self.agenda.is_due()

    def beat(self) -> None:
        """The heartbeat is due now, if the kind has one: a consumer that waits is woken for it."""
        self.agenda.beat()
        self.buffer.readable.notify()
        if (consumer := self._listening()) is not None:
            consumer.hear_of_due()

    def retire(self) -> None:
        """End it in good order, as soon as its consumer comes back. From any thread."""
        self.agenda.retire()
        self.buffer.readable.notify()
        if (consumer := self._listening()) is not None:
            consumer.hear_of_retiring()

    def _listening(self) -> Consumer | None:
        """The consumer, if it is one that is to be told, and is still there."""
        return None if self.consumer is None else self.consumer()

    def leave(self, outcome: Outcome = "disconnected", raised: BaseException | None = None) -> None:
        """The consumer leaves; ``raised`` is what it was told. Idempotent, from any thread."""
        pump = self._pump
        duty = self.lifetime.leave(outcome, raised)
        if duty is None:
            return
        self.buffer.abandon()
        self.batches.close()
        if (consumer := self._listening()) is not None:
            consumer.hear_of_leaving()
        self._do(duty, pump)

    @property
    def is_closed(self) -> bool:
        """Whether the source is closed."""
        return self.buffer.ended

    def _is_nothing_more(self, error: BaseException | None) -> bool:
        """Whether this is how the source of a live stream ends, and no failure."""
        return self.kind.live and isinstance(error, NothingMore)

    def _source_closed(self, error: BaseException | None) -> None:
        duty = self.lifetime.close(error)
        try:
            self._do(duty, None)
        finally:
            self.buffer.end(None if self.lifetime.has_left else error)
            if self.lifetime.has_left:
                # The consumer has left meanwhile, and nobody else lets go of the error.
                self.buffer.error = None

    def _do(self, duty: Duty | None, pump: Pump[Any] | None) -> None:
        if duty is Duty.SETTLE:
            self._setting.context.run(self._settle)
        elif pump is None:
            return
        elif duty is Duty.STOP:
            pump.stop()
        elif duty is Duty.DISCARD:
            close_unread(pump.source, self._setting.context, self._source_closed, pump.loop)

    def _settle(self) -> None:
        """Both sides have left."""
        lifetime, record = self.lifetime, self._record
        error, raised = lifetime.source_error, lifetime.raised
        failure = raised or error
        # All of these lead back to this pipeline, and so to the source, which might be a large list
        # and is not to wait for the garbage collector.
        self._pump = self.buffer.error = lifetime.raised = lifetime.source_error = None
        try:
            signals.discard(self)
            if (consumer := self._listening()) is not None:
                consumer.hear_of_settling()
            is_nothing_more = self._is_nothing_more(failure)
            if is_nothing_more:
                failure = None
            record.close(lifetime.outcome, self._encoder.repaired, failure)
            if not is_nothing_more and error is not None and error is not raised:
                record.report_unheard(error)
        finally:
            self._setting.close(failure)
