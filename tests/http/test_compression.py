"""Exports are compressed as they stream, by whatever coding the client likes best."""

import zlib
from collections.abc import Callable
from threading import Event
from typing import Any

import brotli
import pytest
from backports import zstd
from combinations import WAIT, Combination
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit import StreamingService, StreamResponse
from streamkit.adapting import Reply, Request
from streamkit.encoders import coding

ROWS = [{"n": n, "text": f"row {n}"} for n in range(1000)]

Decompress = Callable[[bytes], bytes]

DECOMPRESSORS: dict[str, Callable[[], Decompress]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31).decompress,
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstd.ZstdDecompressor().decompress,
}
CODINGS = pytest.mark.parametrize("name", DECOMPRESSORS)
FORMATS = pytest.mark.parametrize("format", ["json", "csv", "ndjson"])


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("br;q=0.9, gzip;q=1.0", "gzip"),
        ("gzip;q=0.2, br;q=0.4, zstd;q=0.3", "br"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("gzip, *;q=0", "gzip"),
        ("zstd;q=0, *", "br"),
        ("identity", None),
        ("identity, gzip", "gzip"),
        ("identity;q=1, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=1", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("deflate, compress", None),
        ("gzip;q=x", None),
        ("\x00,;=", None),
    ],
)
def test_the_coding_is_what_the_client_likes_best(
    accept_encoding: str, expected: str | None
) -> None:
    assert coding.accepted(accept_encoding) == expected


def answered(
    response: StreamResponse, accept_encoding: str | None = None, method: str = "GET"
) -> Reply[Any]:
    """What a request is answered with. The headers are then fitted to it as well."""
    headers = Headers({} if accept_encoding is None else {"Accept-Encoding": accept_encoding})
    request = Request(method=method, headers=headers)
    return response.begin(request, response.status, response.headers)


@CODINGS
@FORMATS
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_compressed_export_has_the_bytes_of_a_plain_one(
    combination: Combination, name: str, format: Any, count: int
) -> None:
    def export() -> StreamResponse:
        return StreamingService.export("e", combination.source(ROWS[:count]), format)

    plain = combination.reader.open(export()).rest()
    response = export()
    combination.reader.begin(response, Accept_Encoding=name)
    assert response.headers["Content-Encoding"] == name
    assert response.headers["Vary"] == "Accept-Encoding"
    compressed = combination.reader.rest()
    decompressor: Any = {
        "gzip": zlib.decompressobj(wbits=31),
        "br": brotli.Decompressor(),
        "zstd": zstd.ZstdDecompressor(),
    }[name]
    decompress = decompressor.process if name == "br" else decompressor.decompress
    assert decompress(compressed) == plain
    assert decompressor.is_finished() if name == "br" else decompressor.eof
    if count > 1:
        assert len(compressed) < len(plain) / 2


@CODINGS
@FORMATS
def test_each_compressed_row_can_be_read_when_it_is_ready(name: str, format: Any) -> None:
    goes_on = [Event() for _ in range(3)]

    def rows() -> Any:
        for n, event in enumerate(goes_on):
            yield {"text": f"row {n}"}
            assert event.wait(WAIT)

    chunks = answered(StreamingService.export("e", rows(), format), name).body
    decompress, text = DECOMPRESSORS[name](), b""
    for n, event in enumerate(goes_on):
        while f"row {n}".encode() not in text:
            text += decompress(next(chunks))
        assert f"row {n + 1}".encode() not in text
        event.set()
    assert [*chunks]


@CODINGS
@FORMATS
def test_what_comes_before_a_failure_can_be_read_and_is_not_whole(name: str, format: Any) -> None:
    def rows() -> Any:
        yield from ROWS[:10]
        raise LookupError("row 10")

    decompress, text = DECOMPRESSORS[name](), b""
    with pytest.raises(LookupError, match="row 10"):
        for chunk in answered(StreamingService.export("e", rows(), format), name).body:
            text += decompress(chunk)
    assert b"row 9" in text
    assert not text.rstrip().endswith(b"]")


@CODINGS
@FORMATS
def test_a_row_that_fails_first_fails_before_the_first_byte(name: str, format: Any) -> None:
    response = StreamingService.export("e", [{"n": object()}], format)
    with pytest.raises(TypeError, match="cannot be encoded"):
        answered(response, name)


def test_head_of_a_compressed_export_has_the_headers_of_get() -> None:
    response = StreamingService.export("e", ROWS, "csv")
    assert answered(response, "gzip", "HEAD").body == b""
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accept_encoding", [None, "", "identity", "gzip;q=0"])
def test_a_client_that_wants_no_coding_gets_none(accept_encoding: str | None) -> None:
    response = StreamingService.export("e", ROWS[:1], "ndjson")
    reply = answered(response, accept_encoding)
    assert "Content-Encoding" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"
    assert b"".join(reply.body) == b'{"n":0,"text":"row 0"}\n'


def test_an_encoded_body_is_left_alone() -> None:
    response = StreamingService.export("e", ROWS[:1], "ndjson")
    response.headers["Content-Encoding"] = "aes128gcm"
    reply = answered(response, "gzip")
    assert response.headers["Content-Encoding"] == "aes128gcm"
    assert "Vary" not in response.headers
    assert b"".join(reply.body) == b'{"n":0,"text":"row 0"}\n'


def test_the_vary_header_of_a_response_stays() -> None:
    response = StreamingService.export("e", [], "csv")
    response.headers["Vary"] = "Cookie"
    answered(response, "gzip")
    assert response.headers.getlist("Vary") == ["Cookie, Accept-Encoding"]


@pytest.mark.parametrize(
    "response",
    [
        lambda: StreamingService.sse("s", ["a"]),
        lambda: StreamingService.download([b"a"], filename="a.txt"),
        lambda: StreamingService.download(b"a", filename="a.txt"),
    ],
    ids=["sse", "download", "download-bytes"],
)
def test_events_and_downloads_are_never_compressed(response: Callable[[], StreamResponse]) -> None:
    made = response()
    answered(made, "gzip, br, zstd")
    assert "Content-Encoding" not in made.headers
    assert "Vary" not in made.headers


def test_an_export_with_another_status_is_compressed_as_well() -> None:
    response = StreamingService.export("e", ROWS, "csv")
    response.status = 201
    assert answered(response, "gzip").status == 201
    assert response.headers["Content-Encoding"] == "gzip"


def test_the_bytes_counted_are_those_sent_compressed(registry: CollectorRegistry) -> None:
    sent = b"".join(answered(StreamingService.export("e", ROWS, "csv"), "gzip").body)
    labels = {"kind": "export", "stream": "e", "tenant": "system"}
    assert registry.get_sample_value("stream_bytes_total", labels) == len(sent)
    assert registry.get_sample_value("stream_elements_total", labels) == len(ROWS)


def test_repaired_rows_are_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "streamkit"):
        b"".join(answered(StreamingService.export("e", ["\ud800"], "ndjson"), "gzip").body)
    assert "1 with lone surrogates" in caplog.text


def test_gzip_is_there_without_the_libraries_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    for module in ("compression.zstd", "backports.zstd", "brotli"):
        monkeypatch.setitem(sys.modules, module, None)
    try:
        bare = importlib.reload(coding)
        assert bare.accepted("gzip, br, zstd") == "gzip"
    finally:
        monkeypatch.undo()
        importlib.reload(coding)
    assert coding.accepted("gzip, br, zstd") == "zstd"
