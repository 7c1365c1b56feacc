"""Ranges of a resource, one after the other, as the source of a stream."""

from collections.abc import AsyncIterator, Iterator, Sequence
from secrets import token_hex
from typing import Any

from werkzeug.datastructures import ContentRange

from streamkit.encoders.octets import octets
from streamkit.errors import SizeMismatch
from streamkit.resource import Resource
from streamkit.source import Source

__all__ = ["Part", "content_range", "multipart", "parts_source"]

Part = bytes | range
"""Bytes that are sent as they are, or the range of a resource's bytes that is to be read."""


def content_range(wanted: range, size: int) -> str:
    """The value of ``Content-Range`` (RFC 9110, section 14.4)."""
    return ContentRange("bytes", wanted.start, wanted.stop, size).to_header()


def multipart(
    ranges: Sequence[range], size: int, content_type: str | None
) -> tuple[str, list[Part]]:
    """The content type of a ``multipart/byteranges``, and its parts (RFC 9110, section 14.6).

    ``content_type`` and ``size``, in bytes, are those of the whole.
    """
    boundary = token_hex(16)
    described = f"Content-Type: {content_type}\r\n" if content_type else ""
    parts: list[Part] = []
    for wanted in ranges:
        head = (
            f"\r\n--{boundary}\r\n{described}Content-Range: {content_range(wanted, size)}\r\n\r\n"
        )
        parts += [head.encode("latin-1"), wanted]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/byteranges; boundary={boundary}", parts


def parts_source(resource: Resource, parts: Sequence[Part]) -> Any:
    """The bytes of ``parts``, from a sync or an async iterable, as the resource is.

    Iterating raises SizeMismatch if what the resource gives for a range has more or fewer bytes
    than the range. To close it closes the resource.
    """
    return (_AsyncParts if resource.is_async else _SyncParts)(resource, parts)


class _Parts:
    def __init__(self, resource: Resource, parts: Sequence[Part]) -> None:
        self._resource = resource
        # An empty range is left out, so that no source is opened for the bytes of nothing.
        self._parts = [part for part in parts if part]
        self.never_waits = resource.never_waits

    def close(self) -> None:
        self._resource.close()

    def _open(self, wanted: range) -> "_Range":
        return _Range(self._resource.read(wanted.start, wanted.stop), wanted)


class _SyncParts(_Parts):
    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            wanted = self._open(part)
            try:
                for piece in wanted.source.iterator():
                    yield wanted.count(piece)
                wanted.end()
            finally:
                wanted.source.close()


class _AsyncParts(_Parts):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            wanted = self._open(part)
            try:
                async for piece in wanted.source.async_iterator():
                    yield wanted.count(piece)
                wanted.end()
            finally:
                await wanted.source.aclose()


class _Range:
    """The pieces of one range, counted."""

    def __init__(self, pieces: Any, wanted: range) -> None:
        self.source = Source(pieces)
        self._wanted = wanted
        self._seen = 0

    def count(self, element: Any) -> bytes:
        piece = octets(element)
        self._seen += len(piece)
        if self._seen > len(self._wanted):
            raise self._mismatch("or more")
        return piece

    def end(self) -> None:
        if self._seen < len(self._wanted):
            raise self._mismatch("and ended")

    def _mismatch(self, how: str) -> SizeMismatch:
        wanted = self._wanted
        return SizeMismatch(
            f"{len(wanted)} bytes were to come, from {wanted.start} up to {wanted.stop}, "
            f"but the source yielded {self._seen} {how}"
        )
