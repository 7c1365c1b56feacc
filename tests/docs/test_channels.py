"""The page on channels: each example runs, and does what is said of it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streamkit import kind
from streamkit.channels import channel, hubs, memory, ring
from streamkit.channels.frame import MAX_EVENT_BYTES
from streamkit.testing import aconnect, connect

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "channels.md").read_text()

BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the examples of the page define, from the first to the last."""
    for needed in ("fastapi", "django"):
        pytest.importorskip(needed)
    names: dict[str, Any] = {"__name__": __name__}
    for block in BLOCKS:
        exec(compile(block, "docs/channels.md", "exec"), names)
    return names


def test_a_loop_publishes_and_streams(names: dict[str, Any]) -> None:
    async def main() -> None:
        async with aconnect(names["app"], "/orders/live") as client:
            assert (await client.event()).type == "subscribed"
            await names["create_order"](7)
            assert (await client.event()).data == '{"id":7}'

    asyncio.run(main())


def test_a_thread_publishes_and_streams(names: dict[str, Any]) -> None:
    with connect(names["shop"], "/orders/live") as client:
        assert client.event().type == "subscribed"
        assert names["shop"].test_client().post("/orders/7").text == client.event().last_event_id


def test_what_a_client_is_sent_has_the_form_that_is_shown(names: dict[str, Any]) -> None:
    shown = re.search(r"```\n(event: subscribed.*?)```", PAGE, re.S)
    assert shown is not None
    with connect(names["shop"], "/orders/live") as client:
        subscribed = client.chunk().decode()
        names["orders"].publish(names["ServerSentEvent"]({"id": 7}, event="created"))
        created = client.chunk().decode()
    with connect(names["shop"], "/orders/live?lastEventId=7-7") as client:
        gap = client.chunk().decode()

    def form(text: str) -> str:
        return re.sub(r"\d{19}-\d+", "ID", text)

    assert form(shown[1]).startswith(form(subscribed + created))
    assert form(gap).startswith(form(shown[1]).split("\n\n")[2].replace("17", "null"))


def test_a_page_begins_where_its_state_was_read(names: dict[str, Any]) -> None:
    page = names["shop"].test_client().get("/orders").text
    assert "<li>7</li>" in page
    url = re.search(r'EventSource\("(.*)"\)', page)
    assert url is not None
    names["orders"].publish("since")
    with connect(names["shop"], url[1]) as client:
        assert client.event().data == "since"


def test_the_view_decides_who_may_listen(names: dict[str, Any]) -> None:
    assert names["shop"].test_client().get("/users/7/live").status_code == 403
    headers = {"Authorization": "Bearer 7"}
    with connect(names["shop"], "/users/7/live", headers=headers) as client:
        names["Channel"]("user:7").publish("for you")
        client.event()
        assert client.event().data == "for you"


def test_several_channels_and_the_gap_of_one(names: dict[str, Any]) -> None:
    with connect(names["shop"], "/users/8/inbox") as client:
        client.event()
        names["Channel"]("all").publish("for all")
        names["Channel"]("user:8").publish("for you")
        assert [client.event().data, client.event().data] == ["for all", "for you"]
    with connect(names["shop"], "/users/8/inbox?lastEventId=7-7.7-7") as client:
        assert json.loads(client.event().data) == {"channel": "all", "missed": None}


def test_a_filter_follows_some_events(names: dict[str, Any]) -> None:
    async def main() -> None:
        position = await names["orders"].alast_event_id()
        for user in (7, 8, 7):
            await names["orders"].apublish({"user": user})
        async with aconnect(names["app"], f"/orders/mine/7?lastEventId={position}") as client:
            got = [await client.event() for _ in range(2)]
            assert [event.data for event in got] == ['{"user":7}'] * 2
            # The others of the page, which are for nobody.
            for event in ("closing in ten minutes", {"id": 7, "status": "open"}, [7]):
                await names["orders"].apublish(event)
            await names["orders"].apublish({"user": 7, "id": 8})
            assert (await client.event()).data == '{"user":7,"id":8}'
        position = got[-1].last_event_id
        async with aconnect(names["app"], f"/orders/mine/7?lastEventId={position}") as client:
            assert (await client.event()).data == '{"user":7,"id":8}'

    asyncio.run(main())


def test_what_a_filter_costs(names: dict[str, Any]) -> None:
    async def main() -> None:
        publish = names["orders"].apublish
        async with aconnect(names["app"], "/orders/mine/9") as client:
            await publish({"user": 9})
            first = await client.event()
            # No "subscribed" before it.
            assert (first.type, first.data) == ("message", '{"user":9}')
        for _ in range(1_100):
            await publish({"user": 10})
        position = first.last_event_id
        async with aconnect(names["app"], f"/orders/mine/9?lastEventId={position}") as client:
            assert (await client.event()).type == "gap"

    asyncio.run(main())


def test_serialize_on_a_loop_publishes_nothing(names: dict[str, Any]) -> None:
    async def source() -> AsyncIterator[int]:
        yield 7

    async def view() -> Any:
        return names["StreamingService"].sse("s", source(), names["orders"].publish)

    names["app"].get("/serialized")(view)

    async def main() -> None:
        async with aconnect(names["app"], "/serialized") as client:
            await client.event()

    with pytest.raises(RuntimeError, match=r"await apublish"):
        asyncio.run(main())


def test_a_lossless_stream_of_a_channel(names: dict[str, Any]) -> None:
    with connect(names["shop"], "/orders/audit") as client:
        assert client.event().type == "subscribed"


def test_the_figures_are_those_of_the_code() -> None:
    mib = 1024 * 1024
    assert (1_000, 4 * mib, 16) == (ring.MAX_EVENTS, ring.MAX_BYTES, ring.MIN_EVENTS)
    assert ring.LATEST == kind.SSE.capacity == 64
    assert MAX_EVENT_BYTES == 256 * 1024
    assert 64 * mib == hubs.MAX_BYTES
    assert memory.MAX_IDLE == 3 * 3600 > 2 * (kind.SSE.max_age or 0) * 1.1
    assert channel.MAX_MERGED == 64
    assert kind.MAX_AWAY == 0.1
