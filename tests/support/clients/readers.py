"""Other people's clients of event streams, each giving back what it has understood."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import httpx_sse
import openai
from node import NODE

from streamkit.testing import Event, SSEDecoder

__all__ = ["FOLLOW", "PACKAGES", "READERS", "READERS_OF_DATA", "STREAM", "received"]

SECONDS: Final = 20.0
"""After which a client has waited for too long."""

PACKAGES: Final = Path(__file__).with_name("package.json")
"""What npm installs, and the versions."""

FOLLOW: Final = Path(__file__).with_name("follow.js")
"""What node runs to follow a stream with fetch-event-source."""


def received(url: str, headers: Mapping[str, str]) -> bytes:
    """The body, as http.client gives it. It sends no ``Accept`` by itself."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    try:
        connection.request("GET", parts.path, headers=dict(headers))
        return connection.getresponse().read()
    finally:
        connection.close()


def _whatwg(url: str, headers: Mapping[str, str]) -> Iterator[Event]:
    yield from SSEDecoder().feed(received(url, headers))


def _httpx_sse(url: str) -> Iterator[Event]:
    with (
        httpx.Client(trust_env=False, timeout=SECONDS) as client,
        httpx_sse.connect_sse(client, "GET", url) as source,
    ):
        for event in source.iter_sse():
            event.json()
            yield Event(event.data, event.event, event.id)


def _javascript(node: Mapping[str, str], *arguments: str) -> Iterator[Event]:
    script = Path(__file__).with_name("read.js")
    process = subprocess.run(
        [NODE, script, *arguments], env=node, stdout=subprocess.PIPE, timeout=SECONDS, check=True
    )
    said = json.loads(process.stdout)
    for event in said["events"]:
        yield Event(*event)
    assert said["errors"] == []


def _by_hand_without_comments(url: str) -> Iterator[Event]:
    """What has a colon at its start is a comment to it."""
    *blocks, rest = received(url, {}).decode().split("\n\n")
    assert rest == ""
    for block in blocks:
        if not block.startswith(":"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "data" in fields:
                yield Event(fields["data"], fields.get("event", "message"), fields["id"])


def _by_hand_with_data(url: str) -> Iterator[Event]:
    """What has no ``data:`` at its start does not matter to it."""
    for block in received(url, {}).decode().split("\n\n"):
        if block.startswith("data: "):
            yield Event(block.removeprefix("data: "))


def _openai(url: str) -> Iterator[Event]:
    http = openai.DefaultHttpxClient(trust_env=False)
    with (
        openai.OpenAI(
            base_url=url, api_key="none", max_retries=0, timeout=SECONDS, http_client=http
        ) as client,
        client.chat.completions.create(
            model="none", messages=[{"role": "user", "content": "Go on."}], stream=True
        ) as chunks,
    ):
        for chunk in chunks:
            yield Event(json.dumps(chunk.to_dict(mode="json"), separators=(",", ":")))


STREAM = {"Accept": "text/event-stream"}

Node = Mapping[str, str]

READERS: Final[dict[str, Callable[[str, Node], Iterator[Event]]]] = {
    "whatwg": lambda origin, node: _whatwg(f"{origin}/events", STREAM),
    "whatwg, without Accept": lambda origin, node: _whatwg(f"{origin}/events", {}),
    "httpx-sse": lambda origin, node: _httpx_sse(f"{origin}/events"),
    "fetch-event-source": lambda origin, node: _javascript(
        node, "fetch-event-source", f"{origin}/events"
    ),
    "eventsource-parser": lambda origin, node: _javascript(
        node, "eventsource-parser", f"{origin}/events", "text/event-stream"
    ),
    "eventsource-parser, without Accept": lambda origin, node: _javascript(
        node, "eventsource-parser", f"{origin}/events"
    ),
    "by hand, without comments": lambda origin, node: _by_hand_without_comments(f"{origin}/events"),
}
"""Each reads the events of an origin to their end, ``node`` being the environment of one that has
``PACKAGES``. It fails where it would lose its stream."""

READERS_OF_DATA: Final[dict[str, Callable[[str], Iterator[Event]]]] = {
    "openai-python": _openai,
    "by hand, with data": lambda origin: _by_hand_with_data(f"{origin}/bare"),
}
"""These tell nothing but the data."""
