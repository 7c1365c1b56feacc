"""The content codings that a body can be compressed with (RFC 9110, section 8.4.1)."""

import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final, NamedTuple

from werkzeug.http import parse_accept_header

__all__ = ["Compressor", "accepted", "compressor"]


class Compressor(NamedTuple):
    """What compresses one body."""

    compress: Callable[[bytes], bytes]
    flush: Callable[[], bytes]
    """The rest of what is needed to read all that was compressed by now."""
    finish: Callable[[], bytes]


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

# The fastest level of each: a process runs out of time before a wire runs out of room.


def _compress_zstd() -> Compressor:
    stream = _zstd.ZstdCompressor(level=1)
    return Compressor(stream.compress, partial(stream.flush, stream.FLUSH_BLOCK), stream.flush)


def _compress_br() -> Compressor:
    stream = _brotli.Compressor(quality=1)
    return Compressor(stream.process, stream.flush, stream.finish)


def _compress_gzip() -> Compressor:
    stream = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS + 16)
    return Compressor(stream.compress, partial(stream.flush, zlib.Z_SYNC_FLUSH), stream.flush)


# The best first.
_CODINGS: Final[dict[str, Callable[[], Compressor]]] = {
    **({"zstd": _compress_zstd} if _zstd else {}),
    **({"br": _compress_br} if _brotli else {}),
    "gzip": _compress_gzip,
}


def accepted(accept_encoding: str) -> str | None:
    """The coding that a client likes best, and at equal terms the best; None for no coding.

    ``accept_encoding`` is the value of its ``Accept-Encoding`` (RFC 9110, section 12.5.3).
    """
    accept = parse_accept_header(accept_encoding)
    best = max(_CODINGS, key=accept.quality)
    quality = accept.quality(best)
    return best if quality and quality >= accept.quality("identity") else None


def compressor(coding: str) -> Compressor:
    """A new one of a coding that was ``accepted``."""
    return _CODINGS[coding]()
