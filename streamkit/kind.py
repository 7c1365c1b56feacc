"""The three kinds of stream, and all that is decided for them."""

from dataclasses import dataclass, replace
from typing import Final, Literal

__all__ = [
    "DOWNLOAD",
    "EXPORT",
    "EXPORT_OF_BATCHES",
    "LOSSLESS",
    "MAX_AWAY",
    "MAX_BUFFERED_BYTES",
    "SSE",
    "Kind",
]

MAX_BUFFERED_BYTES: Final = 4 * 1024 * 1024
"""What a buffer holds of elements that are bytes or text, or one element that is larger.

A judgement: a source of large pieces need not wait for each of them, and 256 clients that do not
read hold 1 GiB at the most.
"""

MAX_AWAY: Final = 0.1
"""Seconds that a consumer may be away with a chunk before it misses elements.

So a burst reaches a client that keeps up whole, however late the scheduler lets the consumer run,
and a client that does not holds the source up once a drain, and never once an element. A judgement:
a consumer that waits for the interpreter has had twenty turns of others before it
(``sys.getswitchinterval()`` is 5 ms), and an event that comes a tenth of a second later still is
the present to whoever looks at it.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table: how a stream treats a slow client and a silent source.

    ``capacity`` counts elements. ``strategy`` says what a full buffer does: ``suspend`` lets the
    source wait, ``sliding`` drops the oldest element. ``heartbeat`` is in seconds. A ``live``
    stream is for as long as its client is there. One with a ``max_age``, in seconds, is retired
    when it is so old, give or take a tenth, or when its process shuts down. The others go on until
    their source ends. The elements of a kind of ``octets`` are bytes-like.
    """

    name: Literal["sse", "download", "export"]
    capacity: int
    strategy: Literal["suspend", "sliding"]
    heartbeat: float | None
    live: bool
    max_age: float | None
    octets: bool = False


# A slow client of a live stream wants the present, not the past; that of a file wants every byte.
#
# The capacities are judgements. 64 events hold a burst, and are what a slow client is behind at the
# most. 256 pieces of 16 KiB are MAX_BUFFERED_BYTES, and smaller ones need not be more. 128 rows
# share the cost of one hand-over and one call of the encoder, which takes a third of a millisecond
# for them at the rate that benchmarks/README.md has for csv.
#
# A heartbeat every 30 s is twice as often as nginx wants to hear of a response by default
# (proxy_read_timeout is 60 s); WHATWG HTML, 9.2.7, advises 15 s or so where there are legacy
# proxies. Why a stream is retired after an hour is in docs/shutdown.md.
SSE = Kind("sse", capacity=64, strategy="sliding", heartbeat=30.0, live=True, max_age=3600.0)

# Every token of an answer counts, and it ends by itself: its age does not end it, nor does the end
# of the process, for as long as the server gives it.
LOSSLESS = Kind("sse", capacity=128, strategy="suspend", heartbeat=30.0, live=True, max_age=None)
DOWNLOAD = Kind(
    "download",
    capacity=256,
    strategy="suspend",
    heartbeat=None,
    live=False,
    max_age=None,
    octets=True,
)
EXPORT = Kind("export", capacity=128, strategy="suspend", heartbeat=None, live=False, max_age=None)

EXPORT_OF_BATCHES = replace(EXPORT, capacity=2)
"""An export whose elements are many rows each: one is read while the other is written."""
