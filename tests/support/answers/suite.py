"""What an answer promises, in the four combinations of source and consumer.

After each: every source was closed once, in one place and in the context of its caller, and the
gauges are at zero.
"""

import asyncio
import itertools
import re
import threading
import time
from collections.abc import Iterator
from typing import Any, Self
from uuid import uuid4

import pytest
from combinations import WAIT, Combination, LoopReader, mark, value, wait_until
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit import (
    NothingMore,
    Resumable,
    ServerSentEvent,
    SourceFailed,
    StreamingService,
    StreamResponse,
)
from streamkit.admission import Admission
from streamkit.request import request_context

__all__ = ["Silent", "Suite"]

ELEMENTS: list[tuple[Any, bytes]] = [
    (["one", "two"], b"data: one\nid: E-1-1\n\ndata: two\nid: E-2-1\n\n"),
    (["[DONE]"], b"data: [DONE]\nid: E-1-1\n\n"),
    (
        [{"a": 1}, [2], 3, None],
        b'data: {"a":1}\nid: E-1-1\n\ndata: [2]\nid: E-2-1\n\ndata: 3\nid: E-3-1\n\n'
        b"data: null\nid: E-4-1\n\n",
    ),
    (["two\nlines\r\n"], b"data: two\ndata: lines\ndata: \nid: E-1-1\n\n"),
    ([""], b"data: \nid: E-1-1\n\n"),
    (
        [ServerSentEvent({"a": 1}, event="delta", retry=5)],
        b'event: delta\nretry: 5\ndata: {"a":1}\nid: E-1-1\n\n',
    ),
    # What is no event goes out with the next one, and has no place of its own.
    (
        [ServerSentEvent(None, retry=5), ServerSentEvent(None, comment="c"), "one"],
        b"retry: 5\n: c\ndata: one\nid: E-1-1\n\n",
    ),
    (["one", ServerSentEvent(None, comment="c")], b"data: one\nid: E-1-1\n\n"),
    ([ServerSentEvent(None, event="ping")], b"event: ping\nid: E-1-1\n\n"),
]


def numbered(body: bytes) -> bytes:
    """As if each event had been ready by itself: what is ready at a time depends on the machine."""
    places = iter(range(1, 10_000))
    return re.sub(rb"(?m)^id: [0-9]+-[0-9]+-[0-9]+$", lambda _: b"id: E-%d-1" % next(places), body)


def data_of(body: bytes) -> list[bytes]:
    return re.findall(rb"(?m)^data: (.*)$", body)


def ids_of(body: bytes) -> list[str]:
    return [found.decode() for found in re.findall(rb"(?m)^id: (.*)$", body)]


class Silent:
    """Yields one element, and then waits for ever. There is nothing of it to be closed.

    A generator would complain when its loop is closed before it is.
    """

    def __init__(self, element: str) -> None:
        self._elements = [element]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if not self._elements:
            await asyncio.Event().wait()
        return self._elements.pop()


class Suite:
    """``answers`` are new ones, wherever these are kept."""

    @pytest.fixture
    def answers(self) -> Resumable:
        return Resumable(f"answers-{uuid4()}")

    @pytest.fixture(autouse=True)
    def _late_heartbeat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # A head that is sent for want of an event is a 200.
        monkeypatch.setattr("streamkit.stream.batches.FIRST_HEARTBEAT", WAIT)

    @pytest.fixture(autouse=True)
    def _all_is_over(self, registry: CollectorRegistry) -> Iterator[None]:
        yield
        wait_until(lambda: value(registry, "stream_active") == 0)
        wait_until(lambda: value(registry, "resumable_active") == 0)

    def begun(
        self, answers: Resumable, source: Any, key: str = "key", **headers: str
    ) -> StreamResponse:
        mark.set("caller")
        response = StreamingService.sse("answer", answers.start(key, source))
        mark.set("changed after the call")
        return response

    def whole(self, combination: Combination, answers: Resumable, key: str = "key") -> bytes:
        """All of it, for one who comes now."""
        reply = combination.reader.begin(StreamingService.sse("again", answers.follow(key)))
        return b"" if reply.status == 204 else combination.reader.rest()

    def assert_closed(self, source: Any, *, closes: int = 1) -> None:
        wait_until(source.closed.is_set)
        assert source.closes == closes
        assert len(source.places) == 1
        assert source.marks == {"caller"}

    # What is sent

    @pytest.mark.parametrize(("elements", "expected"), ELEMENTS)
    def test_elements_are_those_of_sse_and_ids_are_places(
        self,
        combination: Combination,
        answers: Resumable,
        elements: list[Any],
        expected: bytes,
    ) -> None:
        source = combination.source(elements)
        body = combination.reader.open(self.begun(answers, source)).rest()
        assert numbered(body) == expected
        self.assert_closed(source)
        assert self.whole(combination, answers) == body

    def test_what_cannot_be_sent_costs_itself_alone(
        self, combination: Combination, answers: Resumable, registry: CollectorRegistry
    ) -> None:
        bad = [ServerSentEvent("x", id=7), ServerSentEvent("x", event="a\nb"), {"a": object()}]
        source = combination.source(["one", *bad, "two"])
        body = combination.reader.open(self.begun(answers, source)).rest()
        assert data_of(body) == [b"one", b"two"]
        assert value(registry, "resumable_refused_total") == 3

    def test_it_is_counted(
        self, combination: Combination, answers: Resumable, registry: CollectorRegistry
    ) -> None:
        source = combination.source(["one", "two"])
        combination.reader.open(self.begun(answers, source)).rest()
        self.assert_closed(source)
        wait_until(lambda: value(registry, "resumable_ended_total", ending="done") == 1)
        wait_until(lambda: value(registry, "resumable_events_total") == 2)
        wait_until(lambda: value(registry, "stream_elements_total") == 2)

    # It outlives its clients

    def test_it_goes_on_though_its_client_leaves(
        self, combination: Combination, answers: Resumable
    ) -> None:
        source = combination.source(["first", *(str(n) for n in range(500))])
        reader = combination.reader.open(self.begun(answers, source))
        assert data_of(reader.next())[0] == b"first"
        reader.leave()
        expected = [b"first", *(b"%d" % n for n in range(500))]
        assert data_of(self.whole(combination, answers)) == expected
        self.assert_closed(source)

    def test_a_second_start_follows_the_first_and_closes_its_source_unread(
        self, combination: Combination, answers: Resumable
    ) -> None:
        first, second = combination.source(["one", "two"]), combination.source(["other"])
        body = combination.reader.open(self.begun(answers, first)).rest()
        assert combination.reader.open(self.begun(answers, second)).rest() == body
        self.assert_closed(first)
        wait_until(second.closed.is_set)
        assert (second.given, second.closes) == (0, 1)

    # Who comes back

    def test_who_comes_back_gets_what_is_left_and_nothing_is_made_twice(
        self, combination: Combination, answers: Resumable
    ) -> None:
        source = combination.source([str(n) for n in range(20)])
        body = combination.reader.open(self.begun(answers, source)).rest()
        ids = ids_of(body)
        assert len({*ids}) == len(ids) == 20
        for n, event_id in enumerate(ids[:-1]):
            for again in (answers.follow("key"), None):
                other = combination.source(["never"])
                answer = again or answers.start("key", other)
                response = StreamingService.sse("again", answer)
                reply = combination.reader.begin(response, Last_Event_ID=event_id)
                assert reply.status == 200
                assert data_of(combination.reader.rest()) == [b"%d" % k for k in range(n + 1, 20)]
                assert other.given == 0
                if again is None:
                    wait_until(other.closed.is_set)
        reply = combination.reader.begin(
            StreamingService.sse("again", answers.follow("key")), Last_Event_ID=ids[-1]
        )
        assert (reply.status, reply.body) == (204, b"")

    @pytest.mark.parametrize("event_id", ["7-1-1", "nonsense", "1-1", "0-0-0", "9" * 400])
    def test_an_id_of_elsewhere_is_the_beginning(
        self, combination: Combination, answers: Resumable, event_id: str
    ) -> None:
        source = combination.source(["one"])
        body = combination.reader.open(self.begun(answers, source)).rest()
        reply = combination.reader.begin(
            StreamingService.sse("again", answers.follow("key")), Last_Event_ID=event_id
        )
        assert reply.status == 200
        assert combination.reader.rest() == body

    def test_an_unknown_answer_is_a_204(self, combination: Combination, answers: Resumable) -> None:
        reply = combination.reader.begin(StreamingService.sse("again", answers.follow("nowhere")))
        assert (reply.status, reply.body) == (204, b"")

    def test_who_comes_back_starts_nothing(
        self, combination: Combination, answers: Resumable
    ) -> None:
        source = combination.source(["one"])
        response = StreamingService.sse("answer", answers.start("key", source))
        reply = combination.reader.begin(response, Last_Event_ID="1764150000123-1-1")
        assert (reply.status, reply.body) == (204, b"")
        wait_until(source.closed.is_set)
        assert (source.given, source.closes) == (0, 1)
        assert self.whole(combination, answers) == b""

    @pytest.mark.parametrize("elements", [[], [NothingMore()]])
    def test_an_empty_answer_is_a_204(
        self, combination: Combination, answers: Resumable, elements: list[Any]
    ) -> None:
        source, other = combination.source(elements), combination.source(["never"])
        for each in (source, other):
            reply = combination.reader.begin(self.begun(answers, each))
            assert (reply.status, reply.body) == (204, b"")
        self.assert_closed(source)
        wait_until(lambda: combination.reader.run(other.closed.is_set))
        assert (other.given, other.closes) == (0, 1)

    # Nobody asks for a first chunk

    def test_a_head_starts_nothing(self, combination: Combination, answers: Resumable) -> None:
        source = combination.source(["one"])
        reply = combination.reader.begin(self.begun(answers, source), "HEAD")
        assert reply.status == 200
        self.assert_unread(combination, answers, source)

    def test_where_there_is_no_room_nothing_is_started(
        self, combination: Combination, answers: Resumable
    ) -> None:
        admission = Admission(1)
        assert admission.enter()
        source = combination.source(["one"])
        with request_context("GET", Headers(), None, streams=admission):
            response = self.begun(answers, source)
        assert combination.reader.begin(response).status == 503
        self.assert_unread(combination, answers, source)

    def test_a_response_that_is_dropped_starts_nothing(
        self, combination: Combination, answers: Resumable
    ) -> None:
        source = combination.source(["one"])
        combination.reader.drop(self.begun(answers, source))
        self.assert_unread(combination, answers, source)

    def assert_unread(self, combination: Combination, answers: Resumable, source: Any) -> None:
        wait_until(lambda: combination.reader.run(source.closed.is_set))
        assert (source.given, source.closes) == (0, 1)
        assert self.whole(combination, answers) == b""

    # A room is that of the stream

    def test_a_place_is_given_back_when_the_client_leaves(
        self, combination: Combination, answers: Resumable
    ) -> None:
        admission, goes_on = Admission(1), threading.Event()
        source = combination.source(["one", goes_on.wait, "two"])
        if combination.is_async:
            source = combination.source(["one", "two"])
        with request_context("GET", Headers(), None, streams=admission):
            response = self.begun(answers, source)
        closed: list[object] = []
        response.call_on_close(closed.append)
        combination.reader.begin(response)
        combination.reader.next()
        combination.reader.leave()
        wait_until(lambda: combination.reader.run(admission.enter))
        if not combination.is_async:
            # What belongs to the source as well lasts for as long as that.
            assert not closed
        goes_on.set()
        self.whole(combination, answers)
        self.assert_closed(source)
        wait_until(lambda: closed == [None])

    # It fails

    def test_a_failure_is_told_and_breaks_off(
        self, combination: Combination, answers: Resumable, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = combination.source(["one", ValueError("secret")])
        combination.reader.begin(self.begun(answers, source))
        # Who comes later is told the same.
        for _ in range(3):
            body = b""
            with pytest.raises(SourceFailed):
                while True:
                    body += combination.reader.next()
            assert numbered(body) == (
                b'data: one\nid: E-1-1\n\nevent: error\ndata: {"error":"failed"}\nid: E-2-1\n\n'
            )
            combination.reader.begin(StreamingService.sse("again", answers.follow("key")))
        with pytest.raises(SourceFailed):
            combination.reader.rest()
        assert "secret" in caplog.text
        assert caplog.text.count("Traceback") == 1
        self.assert_closed(source)
        # Who was told of it by then does not come back for ever.
        reply = combination.reader.begin(
            StreamingService.sse("again", answers.follow("key")), Last_Event_ID=ids_of(body)[-1]
        )
        assert (reply.status, reply.body) == (204, b"")

    def test_one_that_is_too_large_fails(
        self, combination: Combination, answers: Resumable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.resumable.production.MAX_BYTES", 10_000)
        source = combination.source(["x" * 990] * 1000)
        reader = combination.reader.open(self.begun(answers, source))
        body = b""
        with pytest.raises(SourceFailed):
            while True:
                body += reader.next()
        assert data_of(body)[-1] == b'{"error":"failed"}'
        assert body.count(b"x" * 990) == 10
        self.assert_closed(source)

    def test_comments_without_end_are_too_large_as_well(
        self, combination: Combination, answers: Resumable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streamkit.resumable.production.MAX_BYTES", 10_000)
        source = combination.source(["one", *[ServerSentEvent(None, comment="x" * 990)] * 1000])
        reader = combination.reader.open(self.begun(answers, source))
        with pytest.raises(SourceFailed):
            reader.rest()
        assert source.given < 500
        self.assert_closed(source)

    def test_what_its_close_raises_is_a_failure(
        self, combination: Combination, answers: Resumable
    ) -> None:
        source = combination.source(["one"])
        source.close_error = ValueError("close")
        reader = combination.reader.open(self.begun(answers, source))
        with pytest.raises(SourceFailed):
            reader.rest()
        self.assert_closed(source)

    # It is stopped

    def stop(self, combination: Combination, answers: Resumable, key: str = "key") -> bool:
        reader = combination.reader
        if isinstance(reader, LoopReader):
            stopped = reader.runner.run(answers.astop(key))
            with pytest.raises(RuntimeError, match=r"await astop\(…\)"):
                reader.run(lambda: answers.stop(key))
            return bool(stopped)
        return answers.stop(key)

    def test_it_is_stopped(
        self, combination: Combination, answers: Resumable, registry: CollectorRegistry
    ) -> None:
        source = combination.source(ticks(combination))
        reader = combination.reader.open(self.begun(answers, source))
        body = reader.next() + reader.next()
        assert self.stop(combination, answers) is True
        body += reader.rest()
        wait_until(lambda: reader.run(source.closed.is_set))
        self.assert_closed(source)
        assert self.whole(combination, answers) == body
        assert b"error" not in body
        assert self.stop(combination, answers) is False
        wait_until(lambda: value(registry, "resumable_ended_total", ending="stopped") == 1)

    def test_an_unknown_one_cannot_be_stopped(
        self, combination: Combination, answers: Resumable
    ) -> None:
        assert self.stop(combination, answers, "nowhere") is False

    def test_one_that_is_over_cannot_be_stopped(
        self, combination: Combination, answers: Resumable
    ) -> None:
        body = combination.reader.open(self.begun(answers, combination.source(["one"]))).rest()
        assert self.stop(combination, answers) is False
        assert self.whole(combination, answers) == body

    def test_keys_and_names_are_apart(self, combination: Combination, answers: Resumable) -> None:
        others = Resumable(f"{answers.name}:a")
        for resumable, key in ((answers, "a:b"), (others, "b"), (answers, "b"), (answers, "{b}")):
            source = combination.source([f"{resumable.name} {key}"])
            body = combination.reader.open(self.begun(resumable, source, key)).rest()
            assert data_of(body) == [f"{resumable.name} {key}".encode()]


def ticks(combination: Combination) -> Iterator[Any]:
    """Without an end."""

    async def tick() -> str:
        await asyncio.sleep(0.002)
        return "tick"

    def tock() -> str:
        time.sleep(0.002)
        return "tick"

    return itertools.repeat(tick if combination.is_async else tock)
