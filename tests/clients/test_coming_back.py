"""When fetch-event-source comes back: of itself, and as a page makes it."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from clients.readers import FOLLOW
from clients.serving import serving
from node import NODE


@contextmanager
def following(node: Mapping[str, str], url: str, *how: str) -> Iterator[Iterator[Any]]:
    """What happens to one of its clients."""
    with subprocess.Popen(
        [NODE, FOLLOW, url, *how],
        env=node,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        yield map(json.loads, process.stdout)


def test_where_there_is_no_room_it_comes_back_until_there_is(node: Mapping[str, str]) -> None:
    with serving("uvicorn-h11", TEST_MAX_STREAMS="1") as server, server.client() as first:
        event = first.get("/process").readline().decode()
        with following(node, f"{server.origin}/process") as happens:
            assert next(happens) == {"status": 503}
            first.close()
            status = next(said for said in happens if said != {"status": 503})
            assert status == {"status": 200}
            assert f"data: {next(happens)['data']}\n" == event


def test_an_end_ends_it(node: Mapping[str, str], origin: str) -> None:
    with following(node, f"{origin}/parts") as happens:
        assert [*happens] == [
            {"status": 200},
            {"data": "1"},
            {"data": "2"},
            {"closed": True},
            {"over": True},
        ]


def test_it_comes_back_after_an_end_if_its_onclose_throws(
    node: Mapping[str, str], origin: str
) -> None:
    with following(node, f"{origin}/parts", "throw") as happens:
        assert [*islice(happens, 8)] == [
            {"status": 200},
            {"data": "1"},
            {"data": "2"},
            {"closed": True},
            {"status": 200},
            {"data": "3"},
            {"data": "4"},
            {"closed": True},
        ]
