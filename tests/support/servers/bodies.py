"""What the application of ``servers.apps`` streams."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["BODIES", "PIECE", "Body", "with_dropped"]

PIECE = 64 * 1024
"""Bytes in an element of a download."""


@dataclass(frozen=True)
class Body:
    path: str
    capacity: int
    """Of the buffer, in elements."""
    parts: Callable[[int], bytes]
    """The bytes that stand for the first so many elements, with nothing after them."""
    end: bytes = b""
    query: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join((self.path[1:], *self.query.values()))

    def whole(self, count: int) -> bytes:
        return self.parts(count) + self.end


def _events(count: int) -> bytes:
    return b"".join(b"data: %d\n\n" % n for n in range(count))


def _pieces(count: int) -> bytes:
    return b"".join(n.to_bytes(8, "big") * (PIECE // 8) for n in range(count))


def _json(count: int) -> bytes:
    rows = (b'\n{"n":%d,"text":"row %d"}' % (n, n) for n in range(count))
    return b"[" + b",".join(rows)


def _ndjson(count: int) -> bytes:
    return b"".join(b'{"n":%d,"text":"row %d"}\n' % (n, n) for n in range(count))


def _csv(count: int) -> bytes:
    return b"n,text\r\n" + b"".join(b"%d,row %d\r\n" % (n, n) for n in range(count))


BODIES = [
    Body("/sse", 64, _events),
    Body("/download", 256, _pieces),
    Body("/export", 128, _json, end=b"\n]\n", query={"format": "json"}),
    Body("/export", 128, _ndjson, query={"format": "ndjson"}),
    Body("/export", 128, _csv, query={"format": "csv"}),
]


def with_dropped(received: bytes) -> bytes:
    """Events with those that comments say were dropped, and without heartbeats.

    Of fifty clients on a busy machine one may be away for the 100 ms that make it slow.
    """
    events: list[bytes] = []
    for found in received.replace(b": heartbeat\n\n", b"").split(b"\n\n")[:-1]:
        if dropped := re.fullmatch(rb": dropped (\d+)", found):
            next_one = len(events) + int(dropped[1])
            events += (f"data: {n}".encode() for n in range(len(events), next_one))
        else:
            events.append(found)
    return b"".join(event + b"\n\n" for event in events)
