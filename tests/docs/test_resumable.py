"""The page on resumable answers: each example runs, and does what is said of it."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit import channels
from streamkit.resumable import log, memory
from streamkit.resumable.log import Ending
from streamkit.testing import aconnect, connect

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "resumable.md").read_text()

BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.fixture(autouse=True)
def _in_memory() -> Iterator[None]:
    channels.use(None)
    yield
    channels.use(None)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the examples of the page define, from the first to the last."""
    for needed in ("fastapi", "flask"):
        pytest.importorskip(needed)
    used: list[Any] = []
    monkeypatch.setattr(channels, "use", used.append)
    names: dict[str, Any] = {"__name__": __name__}
    for block in BLOCKS:
        exec(compile(block, "docs/resumable.md", "exec"), names)
    assert used == ["redis://127.0.0.1:6379/0"]
    return names


def test_an_answer_is_started_followed_and_stopped(names: dict[str, Any]) -> None:
    async def main() -> None:
        app = names["app"]
        async with aconnect(app, "/answers/1?prompt=why+so") as client:
            events = [await client.event() for _ in range(4)]
            words = [json.loads(event.data)["delta"] for event in events]
            assert words == ["You", "asked:", "why", "so"]
        for path in ("/answers/1?prompt=other", "/answers/1/live"):
            async with aconnect(app, path) as client:
                assert [await client.event() for _ in range(4)] == events
            end = {"Last-Event-ID": events[-1].last_event_id}
            async with aconnect(app, path, headers=end) as client:
                assert client.status == 204
        async with aconnect(app, "/answers/2/live") as client:
            assert client.status == 204
        assert (await names["stop"]("1")).status_code == 204

    asyncio.run(main())


def test_a_job_is_followed_and_stopped(names: dict[str, Any]) -> None:
    names["test_a_reload"]()
    response = names["jobs"].test_client().post("/jobs/7/stop")
    assert response.get_json() == {"stopped": False}
    with connect(names["jobs"], "/jobs/8/log") as client:
        assert client.event().data == "8: fetched"


def test_what_a_client_is_sent_has_the_form_that_is_shown(names: dict[str, Any]) -> None:
    shown = re.search(r"```\n(data: .*?)```", PAGE, re.S)
    assert shown is not None

    async def fails() -> Any:
        yield {"delta": "You"}
        raise ValueError

    async def main() -> bytes:
        service, body = names["StreamingService"], b""
        async with aconnect(service.sse("a", names["answers"].start("shown", fails()))) as client:
            body += await client.chunk()
            body += await client.chunk()
        return body

    def form(text: str) -> list[str]:
        return re.sub(r"id: \d+-\d+-\d+", "id: ID", text).strip().split("\n\n")

    first, _, last = form(shown[1])
    assert form(asyncio.run(main()).decode()) == [first, last]


def test_the_figures_are_those_of_the_code() -> None:
    assert log.MAX_BYTES == 16 * 2**20
    assert "16 MiB" in PAGE
    assert memory.MAX_BYTES == 256 * 2**20
    assert "256 MiB" in PAGE
    assert memory.KEEP_FOR == 3600
    script = pytest.importorskip("streamkit.resumable.redis.script")
    reader = pytest.importorskip("streamkit.resumable.redis.reader")
    assert script.LEASE == 15
    assert "15 seconds" in PAGE
    assert script.LEASE + reader.SLACK + reader.AnswerReader.chores_interval < 16.5
    assert "16 seconds" in PAGE
    assert all(f"`streamkit:answer:{{…}}:{kind}`" in PAGE for kind in ("log", "lease"))
    for ending in Ending:
        assert f"`{ending.value}`" in PAGE or f'"{ending.value}"' in PAGE
