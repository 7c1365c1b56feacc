"""The content codings that a body can be compressed with (RFC 9110, section 8.4.1)."""

import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final, NamedTuple

from werkzeug.http import parse_accept_header

__all__ = ["Compressor", "accepted", "compressor"]


class Compressor(NamedTuple):
    """What compresses one body. What all calls return, one after the other, is the coded body."""

    compress: Callable[[bytes], bytes]
    """Takes more of the body; returns what it has of the coded one by now, which may be nothing."""
    flush: Callable[[], bytes]
    """Returns the rest of what a client needs to read all that was taken by now."""
    finish: Callable[[], bytes]
    """Returns the end of the coded body. Nothing is called after it."""


def _imported(*names: str) -> Any:
    """The first of these modules that is installed, if one is."""
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            pass
    return None


_zstd: Final = _imported("compression.zstd", "backports.zstd")
_brotli: Final = _imported("brotli")

# Each coding has its fastest level, since a process that compresses runs out of time before a wire
# runs out of room. That is a judgement, for exports that are made anew for each request.


def _compress_zstd() -> Compressor:
    stream = _zstd.ZstdCompressor(level=1)
    return Compressor(stream.compress, partial(stream.flush, stream.FLUSH_BLOCK), stream.flush)


def _compress_br() -> Compressor:
    stream = _brotli.Compressor(quality=1)
    return Compressor(stream.process, stream.flush, stream.finish)


def _compress_gzip() -> Compressor:
    stream = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS + 16)
    return Compressor(stream.compress, partial(stream.flush, zlib.Z_SYNC_FLUSH), stream.flush)


# The codings stand in the order in which a client gets them that likes them all the same.
_CODINGS: Final[dict[str, Callable[[], Compressor]]] = {
    **({"zstd": _compress_zstd} if _zstd else {}),
    **({"br": _compress_br} if _brotli else {}),
    "gzip": _compress_gzip,
}


def accepted(accept_encoding: str) -> str | None:
    """The coding that a client likes best, of several alike the first here; None for no coding.

    ``accept_encoding`` is the value of its ``Accept-Encoding`` (RFC 9110, section 12.5.3).
    """
    accept = parse_accept_header(accept_encoding)
    best = max(_CODINGS, key=accept.quality)
    quality = accept.quality(best)
    return best if quality and quality >= accept.quality("identity") else None


def compressor(coding: str) -> Compressor:
    """A new compressor of a ``coding`` that ``accepted`` returned."""
    return _CODINGS[coding]()
