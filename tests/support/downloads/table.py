"""Request headers, and what is to come of them.

The representation has the bytes ``DATA``, the entity tag ``ETAG`` and the date ``MODIFIED``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

__all__ = [
    "CONDITIONS",
    "DATA",
    "ETAG",
    "HEADERS",
    "MODIFIED",
    "RANGES",
    "SIZE",
    "TABLE",
    "WHOLE",
    "Case",
    "Outcome",
]

SIZE = 4000
DATA = Random(0).randbytes(SIZE)
ETAG = '"v1"'
MODIFIED = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
EARLIER = "Thu, 02 Jan 2020 03:04:04 GMT"
EXACTLY = "Thu, 02 Jan 2020 03:04:05 GMT"
LATER = "Thu, 02 Jan 2020 03:04:06 GMT"

# Those of the 200.
HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Disposition": 'attachment; filename="data.bin"',
    "Content-Length": str(SIZE),
    "Content-Type": "application/octet-stream",
    "ETag": ETAG,
    "Last-Modified": EXACTLY,
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Outcome:
    status: int
    ranges: tuple[range, ...] = ()
    """What there is of the bytes: one range as it is, more of them as a multipart."""


WHOLE = Outcome(200, (range(SIZE),))
UNSATISFIABLE = Outcome(416)
NOT_MODIFIED = Outcome(304)
FAILED = Outcome(412)


def part(*ranges: tuple[int, int]) -> Outcome:
    """Those from one offset up to another."""
    return Outcome(206, tuple(range(*each) for each in ranges))


@dataclass(frozen=True)
class Case:
    outcome: Outcome
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(f"{name}: {value:.40}" for name, value in self.headers.items()) or "plain"


def utf8(text: str) -> str:
    """As a server passes on what a client sent in UTF-8."""
    return text.encode().decode("latin-1")


RANGES: dict[str, Outcome] = {
    # One range, with both ends, open, or a suffix.
    "bytes=0-0": part((0, 1)),
    "bytes=0-9": part((0, 10)),
    "bytes=10-": part((10, SIZE)),
    "bytes=-10": part((SIZE - 10, SIZE)),
    "bytes=0-": part((0, SIZE)),
    "bytes=3999-": part((SIZE - 1, SIZE)),
    "bytes=0-3999": part((0, SIZE)),
    "bytes=00000-00009": part((0, 10)),
    "Bytes=0-9": part((0, 10)),
    # Up to the end, where that comes first.
    "bytes=10-4000": part((10, SIZE)),
    "bytes=10-18446744073709551615": part((10, SIZE)),
    "bytes=-4001": part((0, SIZE)),
    "bytes=-18446744073709551616": part((0, SIZE)),
    # More than one, in the order of the header.
    "bytes=0-9,100-109": part((0, 10), (100, 110)),
    "bytes=100-109,0-9": part((100, 110), (0, 10)),
    "bytes=-10,0-9": part((SIZE - 10, SIZE), (0, 10)),
    "bytes=0-9 ,\t100-109": part((0, 10), (100, 110)),
    "bytes=,0-9,,100-109,": part((0, 10), (100, 110)),
    # Overlapping and adjacent ones, in the place of the first of them.
    "bytes=0-99,50-149": part((0, 150)),
    "bytes=0-9,10-19": part((0, 20)),
    "bytes=10-19,0-9": part((0, 20)),
    "bytes=0-9,0-9": part((0, 10)),
    "bytes=0-99,10-19": part((0, 100)),
    "bytes=0-9,20-29,5-24": part((0, 30)),
    "bytes=0-9,11-20": part((0, 10), (11, 21)),
    "bytes=100-109,0-9,105-120": part((100, 121), (0, 10)),
    "bytes=0-9,200-209,100-109,5-104": part((0, 110), (200, 210)),
    # Those that are out of bounds among others.
    "bytes=0-9,4000-": part((0, 10)),
    "bytes=4000-,100-109,-0,0-9": part((100, 110), (0, 10)),
    # All of them out of bounds.
    "bytes=4000-": UNSATISFIABLE,
    "bytes=4000-5000": UNSATISFIABLE,
    "bytes=-0": UNSATISFIABLE,
    "bytes=5000-,4000-4000": UNSATISFIABLE,
    "bytes=18446744073709551616-": UNSATISFIABLE,
    # As many as are honoured, and one more.
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 32, 2)): part(
        *((n, n + 1) for n in range(0, 32, 2))
    ),
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 34, 2)): WHOLE,
    "bytes=" + ",".join(["0-"] * 17): WHOLE,
    # More bytes than the whole has.
    "bytes=0-1999,2001-": WHOLE,
    # Malformed, all of it or a part.
    "": WHOLE,
    "bytes": WHOLE,
    "bytes=": WHOLE,
    "bytes=,": WHOLE,
    "bytes=-": WHOLE,
    "bytes=9-0": WHOLE,
    "bytes=0-9,9-0": WHOLE,
    "bytes=0-9,x": WHOLE,
    "bytes=a-b": WHOLE,
    "bytes=0x0-0x9": WHOLE,
    "bytes=0.0-9": WHOLE,
    "bytes=--9": WHOLE,
    "bytes=0--9": WHOLE,
    "bytes=0-9-": WHOLE,
    "bytes=0-9;": WHOLE,
    "bytes:0-9": WHOLE,
    "bytes 0-9": WHOLE,
    "bytes=bytes=0-9": WHOLE,
    "bytes=0-9,bytes=20-29": WHOLE,
    "0-9": WHOLE,
    "=0-9": WHOLE,
    # Signs, spaces, underscores and the digits of others, all of which int() takes.
    "bytes=+0-9": WHOLE,
    "bytes=0-+9": WHOLE,
    "bytes=-+9": WHOLE,
    "bytes=0_0-9": WHOLE,
    "bytes=0-1_0": WHOLE,
    "bytes=-1_0": WHOLE,
    "bytes= 0-9": WHOLE,
    "bytes=0 -9": WHOLE,
    "bytes=0- 9": WHOLE,
    "bytes=- 9": WHOLE,
    "bytes =0-9": WHOLE,
    "bytes=0-9\x0b,20-29": WHOLE,
    "bytes=0-9,\xa020-29": WHOLE,
    "bytes=0-\xb2": WHOLE,
    utf8("bytes=\u0660-\u0669"): WHOLE,
    utf8("bytes=\uff10-\uff19"): WHOLE,
    # Other units.
    "items=0-9": WHOLE,
    "none=0-9": WHOLE,
    "seconds=1-2, bytes=0-9": WHOLE,
}

PART = part((0, 10))

IF_RANGE: dict[str, Outcome] = {
    ETAG: PART,
    'W/"v1"': WHOLE,
    '"v2"': WHOLE,
    "v1": WHOLE,
    '"v1", "v2"': WHOLE,
    "*": WHOLE,
    EXACTLY: PART,
    "Thu Jan  2 03:04:05 2020": PART,
    EARLIER: WHOLE,
    LATER: WHOLE,
    "yesterday": WHOLE,
    "Mon, 01 Jan 99999999999 00:00:00 GMT": WHOLE,
    "": WHOLE,
}

IF_MATCH: dict[str, bool] = {
    "*": True,
    ETAG: True,
    '"v0", "v1"': True,
    '"v0","v1" , "v2"': True,
    ', "v1",': True,
    'W/"v1"': False,
    '"v2"': False,
    '"V1"': False,
    '""': False,
    "": False,
}

IF_NONE_MATCH: dict[str, bool] = {**IF_MATCH, 'W/"v1"': True, '"v0", W/"v1"': True}

DATES: dict[str, bool | None] = {
    # Whether it was modified since.
    EARLIER: True,
    EXACTLY: False,
    LATER: False,
    "Thu Jan  2 03:04:05 2020": False,
    "yesterday": None,
    "": None,
    "Mon, 01 Jan 99999999999 00:00:00 GMT": None,
    "Mon, 01 Jan 2000 00:00:00 +99999999999999999999": None,
}

CONDITIONS: list[Case] = [
    *(Case(WHOLE if matches else FAILED, {"If-Match": v}) for v, matches in IF_MATCH.items()),
    *(
        Case(NOT_MODIFIED if matches else WHOLE, {"If-None-Match": v})
        for v, matches in IF_NONE_MATCH.items()
    ),
    *(
        Case(WHOLE if newer in (True, None) else NOT_MODIFIED, {"If-Modified-Since": v})
        for v, newer in DATES.items()
    ),
    *(Case(FAILED if newer else WHOLE, {"If-Unmodified-Since": v}) for v, newer in DATES.items()),
    # Their order (RFC 9110, section 13.2.2).
    Case(WHOLE, {"If-Match": ETAG, "If-Unmodified-Since": EARLIER}),
    Case(FAILED, {"If-Match": '"v2"', "If-Unmodified-Since": LATER}),
    Case(FAILED, {"If-Match": '"v2"', "If-None-Match": ETAG}),
    Case(NOT_MODIFIED, {"If-Match": ETAG, "If-None-Match": ETAG}),
    Case(FAILED, {"If-Unmodified-Since": EARLIER, "If-None-Match": ETAG}),
    Case(NOT_MODIFIED, {"If-Unmodified-Since": LATER, "If-Modified-Since": LATER}),
    Case(WHOLE, {"If-None-Match": '"v2"', "If-Modified-Since": LATER}),
    Case(NOT_MODIFIED, {"If-None-Match": ETAG, "If-Modified-Since": EARLIER}),
    # Before any range.
    Case(NOT_MODIFIED, {"If-None-Match": ETAG, "Range": "bytes=0-9"}),
    Case(NOT_MODIFIED, {"If-Modified-Since": LATER, "Range": "bytes=9999-"}),
    Case(FAILED, {"If-Match": '"v2"', "Range": "bytes=0-9", "If-Range": ETAG}),
    Case(FAILED, {"If-Unmodified-Since": EARLIER, "Range": "bytes=9999-"}),
    Case(PART, {"If-Match": ETAG, "Range": "bytes=0-9"}),
    Case(PART, {"If-None-Match": '"v2"', "Range": "bytes=0-9"}),
]


def _cases() -> Iterator[Case]:
    yield Case(WHOLE)
    for value, outcome in RANGES.items():
        yield Case(outcome, {"Range": value})
    for value, outcome in IF_RANGE.items():
        yield Case(outcome, {"Range": "bytes=0-9", "If-Range": value})
    yield Case(WHOLE, {"If-Range": ETAG})
    yield Case(WHOLE, {"If-Range": '"v2"', "Range": "bytes=9999-"})
    yield from CONDITIONS


TABLE = [*_cases()]
