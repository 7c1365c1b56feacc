"""``python -m streamkit``: publish to a channel from a shell."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from streamkit import Channel, ServerSentEvent, channels
from streamkit.channels.engine import VARIABLE


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m streamkit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    publish = commands.add_parser(
        "publish",
        help="publish events to a channel, and print their ids",
        description="Publish an event to a channel, and print its id.",
    )
    publish.add_argument("channel", metavar="CHANNEL", help="its name")
    publish.add_argument(
        "json",
        metavar="JSON",
        help="the data of the event; - publishes each line of the standard input, as it comes",
    )
    publish.add_argument("--event", metavar="NAME", help="the name of the event")
    publish.add_argument(
        "--url",
        default=os.environ.get(VARIABLE) or None,
        help=f"where the channels are, redis://… (default: what {VARIABLE} says)",
    )
    options = parser.parse_args(arguments)
    if options.url is None:
        # In memory, where they are otherwise, nobody would ever hear of it.
        publish.error(f"--url is needed, or {VARIABLE} in the environment: redis://…")
    try:
        channels.use(options.url)
        channel = Channel(options.channel)
        for where, line in _lines(options.json):
            event_id = channel.publish(_event(where, line, options.event))
            print(event_id, flush=True)
    except (ConnectionError, ImportError, ValueError) as error:
        print(f"python -m streamkit publish: {error}", file=sys.stderr)
        return 1
    return 0


def _lines(json: str) -> Iterator[tuple[str, str | bytes]]:
    """What is to be published, and where that stands."""
    if json != "-":
        yield "JSON", json
        return
    for number, line in enumerate(sys.stdin.buffer, 1):
        if line.strip():
            yield f"line {number}", line


def _event(where: str, line: str | bytes, name: str | None) -> Any:
    try:
        data = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"{where} must be a JSON value ({error}), got {line!r:.80}") from None
    if data is None:
        raise ValueError(f"{where} must not be null: an event has data")
    return data if name is None else ServerSentEvent(data, event=name)


if __name__ == "__main__":
    sys.exit(main())
