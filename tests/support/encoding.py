"""What an encoder makes of batches, and a network of that."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

from streamkit.encoders import Encoder


def encoded(encoder: Encoder, *batches: Sequence[Any]) -> bytes:
    """All bytes of a stream that was drained in these batches."""
    body = encoder.begin()
    for batch in batches:
        body += b"".join(encoder.encode(batch))
    return body + encoder.end()


def encoded_until_raised(
    encoder: Encoder, *batches: Sequence[Any]
) -> tuple[bytes, Exception | None]:
    """The bytes of a stream that breaks off, and what it broke off with."""
    body = encoder.begin()
    try:
        for batch in batches:
            for piece in encoder.encode(batch):
                body += piece
        body += encoder.end()
    except Exception as error:
        return body, error
    return body, None


def cut(body: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """``body`` in pieces of these sizes, which start over as long as there is something left."""
    for size in cycle(sizes):
        if not body:
            return
        yield body[:size]
        body = body[size:]
