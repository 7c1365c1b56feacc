"""The elements that the benchmarks stream: built one by one, as they are asked for."""

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

import msgspec

__all__ = [
    "ELEMENTS",
    "AsyncElements",
    "asynchronous",
    "encode",
    "encode_line",
    "encode_lines",
    "rows",
]

START = datetime(2024, 1, 1, tzinfo=UTC)

_encoder = msgspec.json.Encoder()

encode = _encoder.encode
encode_lines = _encoder.encode_lines


def encode_line(element: Any) -> bytes:
    return encode(element) + b"\n"


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows of six fields, about 130 bytes of JSON each."""
    for number in range(count):
        yield {
            "id": number,
            "share": number / 7,
            "customer": f"customer {number}",
            "ordered_at": START + timedelta(seconds=number),
            "cancelled_at": None,
            "total": Decimal(number),
        }


def ticks(count: int) -> Iterator[dict[str, int]]:
    """Small events, about 25 bytes of JSON each."""
    for number in range(count):
        yield {"seq": number, "load": number % 100}


ELEMENTS = {"rows": rows, "ticks": ticks}


async def asynchronous(elements: Iterable[Any]) -> AsyncIterator[Any]:
    """An async source that always has its next element ready."""
    for element in elements:
        yield element


class AsyncElements:
    """``asynchronous`` as an object, which one loop after another may read."""

    def __init__(self, elements: Iterable[Any]) -> None:
        self._elements = iter(elements)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._elements)
        except StopIteration:
            raise StopAsyncIteration from None
