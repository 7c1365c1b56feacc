"""An export for clients that accept gzip, and for those that do not."""

import zlib

from werkzeug.datastructures import Headers

__all__ = ["ROWS", "assert_gzipped", "assert_plain"]

ROWS = [{"n": n, "text": f"row {n}"} for n in range(1000)]
PLAIN = b"".join(f'{{"n":{n},"text":"row {n}"}}\n'.encode() for n in range(1000))


def assert_gzipped(headers: Headers, body: bytes) -> None:
    """Once, whoever may have done it."""
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding"
    assert "Content-Length" not in headers
    assert zlib.decompress(body, wbits=31) == PLAIN


def assert_plain(headers: Headers, body: bytes) -> None:
    assert "Content-Encoding" not in headers
    # Starlette's own middleware adds it again.
    assert set(headers["Vary"].split(", ")) == {"Accept-Encoding"}
    assert body == PLAIN
