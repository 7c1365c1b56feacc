"""Rows to bytes without streamkit: the usual code, and the limits of what any could reach."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from typing import Any, Final

import orjson

from .workload import encode_lines, rows

__all__ = ["BATCH", "USUAL", "by_hand", "made", "ready"]

BATCH: Final = 128
"""Rows that are encoded in one call, as many as the buffer of an export holds."""

Row = dict[str, Any]
Pieces = Iterator[bytes] | Iterator[str]


@cache
def _thousand() -> list[Row]:
    return [*rows(1000)]


def made(count: int) -> Iterator[Row]:
    """Rows that cost next to nothing: a thousand, again and again."""
    return islice(cycle(_thousand()), count)


# The usual code, a row at a time.


def orjson_lines(count: int) -> Pieces:
    for row in made(count):
        yield orjson.dumps(row, default=str) + b"\n"


def orjson_array(count: int) -> Pieces:
    separator = b"["
    for row in made(count):
        yield separator + orjson.dumps(row, default=str)
        separator = b","
    yield b"]"


def json_lines(count: int) -> Pieces:
    for row in made(count):
        yield json.dumps(row, default=str) + "\n"


def json_array(count: int) -> Pieces:
    separator = "["
    for row in made(count):
        yield separator + json.dumps(row, default=str)
        separator = ","
    yield "]"


class Echo:
    """A file that returns what is written to it, as in Django's documentation."""

    def write(self, text: str) -> str:
        return text


def csv_lines(count: int) -> Pieces:
    writer = csv.DictWriter(Echo(), [*_thousand()[0]])
    yield writer.writeheader()
    for row in made(count):
        yield writer.writerow(row)


USUAL: Final[dict[str, dict[str, Callable[[int], Pieces]]]] = {
    "ndjson": {"orjson, a row": orjson_lines, "json, a row": json_lines},
    "json": {"orjson, a row": orjson_array, "json, a row": json_array},
    "csv": {"csv, a row": csv_lines},
}

# The limits.


def batches(count: int) -> Iterator[list[Row]]:
    source = made(count)
    while batch := [*islice(source, BATCH)]:
        yield batch


def _encode(batch: list[Row], format: str) -> bytes:
    if format == "csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerows(row.values() for row in batch)
        return text.getvalue().encode()
    lines = encode_lines(batch)
    return lines if format == "ndjson" else lines.replace(b"\n", b",\n")


def by_hand(format: str, count: int) -> Iterator[bytes]:
    """Batches encoded by hand, in one call each of the library that is fastest at it."""
    if format == "csv":
        yield b"header\r\n"
    for batch in batches(count):
        yield _encode(batch, format)


def ready(format: str, count: int) -> Iterator[bytes]:
    """The same chunks without encoding: they are there already."""
    whole, rest = divmod(count, BATCH)
    yield from by_hand(format, rest)
    chunk = _encode([*made(BATCH)], format)
    for _ in range(whole):
        yield chunk
