"""A connection that breaks at any byte: who comes back has every event once, in order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from combinations import WAIT
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from streamkit import Resumable, ServerSentEvent, StreamingService, channels
from streamkit.adapting import Request
from streamkit.resumable.entry import after, place_from, wire
from streamkit.testing import SSEDecoder

TEXT = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["\r", "\n\n", "é", ""])

EVENTS = st.one_of(
    TEXT,
    st.builds(ServerSentEvent, TEXT, event=st.sampled_from(["delta", None]), comment=TEXT),
    st.integers(),
)


class Reader:
    """A client as a browser is one: of what it has not got whole, it knows nothing."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.last_event_id: str | None = None

    def read(self, body: bytes) -> None:
        for event in SSEDecoder().feed(body):
            self.got.append((event.type, event.data))
            self.last_event_id = event.last_event_id or self.last_event_id

    async def connect(self, answers: Resumable, source: Any, cut: int) -> bool:
        """Read so many bytes of it; whether there is more."""
        response = StreamingService.sse("answer", answers.start("key", source))
        headers = Headers({"Accept": "text/event-stream"})
        if self.last_event_id is not None:
            headers["Last-Event-ID"] = self.last_event_id
        request = Request(method="GET", headers=headers)
        reply = await response.abegin(request, response.status, response.headers)
        if isinstance(reply.body, bytes):
            assert reply.status == 204
            return False
        assert not hasattr(reply.body, "path")
        body = b""
        async for chunk in reply.body:
            body += chunk
            if len(body) >= cut:
                break
        await reply.body.aclose()
        self.read(body[:cut])
        return True


@settings(deadline=None, max_examples=60)
@given(
    elements=st.lists(st.tuples(EVENTS, st.booleans()), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 150), max_size=12),
)
def test_a_connection_that_breaks_at_any_byte_costs_nothing(
    elements: list[tuple[Any, bool]], cuts: list[int]
) -> None:
    channels.use(None)
    answers = Resumable(f"cut-{uuid4()}")
    times_read = 0

    async def source() -> AsyncIterator[Any]:
        nonlocal times_read
        times_read += 1
        for element, waits in elements:
            if waits:
                await asyncio.sleep(0)
            yield element

    async def main() -> list[tuple[str, str]]:
        reader, plain = Reader(), b""
        for cut in [*cuts, 10**9]:
            async with asyncio.timeout(WAIT):
                if not await reader.connect(answers, source(), cut):
                    break
        async for chunk in StreamingService.sse("plain", source()):
            plain += chunk
        expected = Reader()
        expected.read(plain)
        assert reader.got == expected.got
        return reader.got

    asyncio.run(main())
    # Once for the answer, and once for what is expected.
    assert times_read == 2


LINES = st.lists(
    st.sampled_from([b"data: a\n", b"data: \n", b"event: e\n", b": c\n", b"retry: 7\n"]),
    min_size=1,
    max_size=4,
).map(b"".join)


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(0, 7))
def test_an_entry_goes_on_behind_any_of_its_events(blocks: list[bytes], events: int) -> None:
    whole = wire(blocks, 7, 3)
    assert whole.count(b"\n\n") == len(blocks)
    left = after(whole, events)
    assert whole.endswith(left)
    assert left.count(b"\n\n") == max(0, len(blocks) - events)


@pytest.mark.parametrize("event_id", [None, "", "1", "1-1", "0-1-1", "1-0-1", "a-1-1", "1-1-1-1"])
def test_what_is_no_place(event_id: str | None) -> None:
    assert place_from(event_id) is None
