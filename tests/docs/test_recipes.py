"""The recipes: each runs, and does what it is for.

The one for Django's admin is in tests/django, the one that passes events on in tests/clients.
"""

import asyncio
from typing import Any

import pytest
from pages import blocks, run

from streamkit import Channel
from streamkit.testing import aconnect, connect

ELSEWHERE = {"An export from the admin", "Somebody else's events, passed on"}
HERE = {title for title, _ in blocks("recipes.md")} - ELSEWHERE


@pytest.fixture(scope="module")
def names() -> Any:
    return run("recipes.md", HERE)


@pytest.fixture(scope="module")
def app(names: Any) -> Any:
    return names["app"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/inbox/events", {"Cookie": "session=c0ffee"}),
        ("/api/inbox/events", {"Authorization": "Bearer s3cret"}),
    ],
)
def test_whoever_is_logged_in_gets_what_is_for_them(
    app: Any, path: str, headers: dict[str, str]
) -> None:
    with connect(app, path) as client:
        assert client.status == 401
    with connect(app, path, headers=headers) as client:
        assert client.event().type == "subscribed"
        Channel("user:bob").publish("for bob")
        Channel("user:ada").publish("for ada")
        assert client.event().data == "for ada"


def test_another_site_is_allowed(app: Any) -> None:
    headers = {"Cookie": "session=c0ffee", "Origin": "https://shop.example"}
    with connect(app, "/inbox/events", headers=headers) as client:
        assert client.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert client.headers["Access-Control-Allow-Credentials"] == "true"
    headers["Origin"] = "https://other.example"
    with connect(app, "/inbox/events", headers=headers) as client:
        assert "Access-Control-Allow-Origin" not in client.headers


@pytest.mark.parametrize(("seen", "first"), [(None, "1"), ("7", "8"), ("x", "1")])
def test_a_client_goes_on_where_it_was(app: Any, seen: str | None, first: str) -> None:
    with connect(app, "/prices", headers={"Last-Event-ID": seen} if seen else {}) as client:
        assert client.event().last_event_id == first


def test_the_last_event_says_that_it_is_the_last(app: Any) -> None:
    with connect(app, "/countdown") as client:
        events = [client.event() for _ in range(4)]
    assert [event.type for event in events] == ["message"] * 3 + ["done"]


def test_who_has_everything_is_told_so(app: Any) -> None:
    with connect(app, "/chapters") as client:
        assert [client.event().last_event_id for _ in range(2)] == ["1", "2"]
    with connect(app, "/chapters", headers={"Last-Event-ID": "2"}) as client:
        assert client.status == 204


def test_a_page_follows_a_job_whenever_it_comes(names: Any) -> None:
    async def main() -> None:
        async with aconnect(names["app"], "/jobs/7/events") as client:
            assert (await client.event()).data == '{"percent":0}'
            await asyncio.to_thread(names["work"], "7")
            seen = [await client.event() for _ in range(4)]
            assert [event.data for event in seen[:3]] == [
                f'{{"percent":{percent}}}' for percent in (0, 50, 100)
            ]
            assert seen[3].type == "done"
        async with aconnect(names["app"], "/jobs/7/events") as late:
            assert (await late.event()).data == '{"percent":100}'
            assert (await late.event()).type == "done"

    asyncio.run(main())


def test_one_event_is_for_everybody(names: Any) -> None:
    async def main() -> None:
        async with (
            aconnect(names["app"], "/news/events") as one,
            aconnect(names["app"], "/news/events") as other,
        ):
            for client in (one, other):
                assert (await client.event()).type == "subscribed"
            await names["publish"]("Rain")
            for client in (one, other):
                assert (await client.event()).data == '{"title":"Rain"}'

    asyncio.run(main())
