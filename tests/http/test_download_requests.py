"""Downloads asked for by chance, in bulk, and before a judge of headers."""

import time
from typing import Any

import httplint
import pytest
from downloads.clients import Answer, ask_wsgi
from downloads.suite import parts
from downloads.table import DATA, ETAG, MODIFIED, SIZE
from httplint.note import levels
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.http import http_date

from streamkit.http import preconditions, ranges
from streamkit_adapters.wsgi import StreamingService

HEAD_OF_A_PART = 140
"""Bytes, at the most, of boundary and fields before one of several ranges of this resource."""


def get(headers: dict[str, str], method: str = "GET", **options: Any) -> Answer:
    given: dict[str, Any] = {"filename": "data.bin", "etag": ETAG, "last_modified": MODIFIED}
    app = StreamingService.download(DATA, **given | options)
    return ask_wsgi(app, method, Headers(headers), sends_files=False)


offsets = st.integers(0, SIZE + 10) | st.integers(0, 300)
specifications = st.one_of(
    st.tuples(offsets, offsets).map(sorted).map("{0[0]}-{0[1]}".format),
    offsets.map("{}-".format),
    offsets.map("-{}".format),
)


def wanted(specification: str) -> set[int]:
    """The offsets of the bytes that one range asks for."""
    first, last = specification.split("-")
    if not first:
        return {*range(SIZE)[SIZE - min(SIZE, int(last)) :]}
    return {*range(SIZE)[int(first) : int(last) + 1 if last else SIZE]}


@settings(derandomize=True, deadline=None)
@given(st.lists(specifications, min_size=1, max_size=ranges.MAX_RANGES))
@example(["0-0", "2-2", "1-1"])
def test_any_ranges_are_slices_of_the_bytes(specifications: list[str]) -> None:
    answer = get({"Range": f"bytes={','.join(specifications)}"})
    asked = set().union(*map(wanted, specifications))
    if not asked:
        assert answer.status == 416
        return
    if answer.status == 200:
        # So many bytes that the whole is no more.
        assert len(specifications) > 1
        assert len(asked) + HEAD_OF_A_PART * len(specifications) > SIZE
        assert answer.body == DATA
        return
    assert answer.status == 206
    assert len(answer.body) == int(answer.headers["Content-Length"])
    single = answer.headers.get("Content-Range")
    received: set[int] = set()
    for content_range, content in [(single, answer.body)] if single else parts(answer):
        first, last = map(int, content_range.removeprefix("bytes ").split("/")[0].split("-"))
        assert content == DATA[first : last + 1]
        assert len(content) == last + 1 - first
        # Neither overlapping nor adjacent.
        assert received.isdisjoint(range(first - 1, last + 2))
        received.update(range(first, last + 1))
    assert received == asked


header_text = st.text(st.characters(max_codepoint=255) | st.sampled_from('0123456789-,=*"W/ \t'))


@settings(derandomize=True, deadline=None, max_examples=5 * settings().max_examples)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "Range",
                "If-Range",
                "If-Match",
                "If-None-Match",
                "If-Modified-Since",
                "If-Unmodified-Since",
            ]
        ),
        header_text | header_text.map("bytes={}".format) | st.datetimes().map(http_date),
    )
)
def test_no_request_header_is_an_error(request_headers: dict[str, str]) -> None:
    """Of whatever characters a server passes on."""
    headers = Headers({"ETag": ETAG, "Last-Modified": http_date(MODIFIED)})
    request: Any = _Raw(request_headers)
    assert preconditions.evaluate(request, headers) in (200, 304, 412)
    assert preconditions.if_range(request, headers) in (True, False)
    ranges.requested(request_headers.get("Range", ""), SIZE)


class _Raw(dict[str, str]):
    """Headers that take line breaks."""

    def getlist(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


LONG = 60_000

LONG_VALUES = {
    "many ranges": "bytes=" + ",".join(f"{n}-{n}" for n in range(0, LONG // 5, 2)),
    "many open ranges": "bytes=" + "0-," * (LONG // 3),
    "many suffixes": "bytes=" + "-1," * (LONG // 3),
    "many commas": "bytes=" + "," * LONG,
    "many digits": "bytes=0-" + "9" * LONG,
    "many hyphens": "bytes=" + "-" * LONG,
    "many spaces": "bytes=0" + " " * LONG + "-1",
    "many spaces around commas": "bytes=" + " ,\t" * (LONG // 3) + "0-1",
    "many tags": ",".join(f'"{n}"' for n in range(LONG // 8)),
    "many weak tags": ",".join(f'W/"{n}"' for n in range(LONG // 10)),
    "many quotes": '"' * LONG,
    "many open quotes": '"a ' * (LONG // 3),
    "many slashes": "W/" * (LONG // 2),
    "a long tag": f'"{"a" * LONG}"',
    "many spaces and nothing": "a" + " " * LONG + "b",
    "many parentheses": "(" * LONG,
    "many colons": "Thu, 02 Jan 2020 03" + ":" * LONG,
}


@pytest.mark.parametrize("value", LONG_VALUES.values(), ids=LONG_VALUES)
def test_a_long_header_takes_no_time_to_speak_of(value: str) -> None:
    """It takes milliseconds, and where it is read carelessly, many seconds or minutes."""
    before = time.process_time()
    for name in ("Range", "If-None-Match", "If-Match", "If-Modified-Since"):
        get({name: value})
    get({"Range": "bytes=0-1", "If-Range": value})
    assert time.process_time() - before < 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Range": "bytes=0-9"}, 206),
        ({"Range": "bytes=0-9,20-29"}, 206),
        ({"Range": "bytes=9999-"}, 416),
        ({"If-None-Match": ETAG}, 304),
        ({"If-Match": '"v0"'}, 412),
    ],
)
@pytest.mark.parametrize("filename", ["data.bin", "data.html", "100% \u65e5\u672c 'a\"b'.tar.gz"])
@pytest.mark.parametrize("inline", [False, True])
def test_headers_pass_a_lint(
    method: str, headers: dict[str, str], status: int, filename: str, inline: bool
) -> None:
    answer = get(headers, method, filename=filename, inline=inline)
    assert answer.status == (200 if method == "HEAD" and "Range" in headers else status)
    now = time.time()
    linter = httplint.HttpResponseLinter(start_time=now, no_content=method == "HEAD")
    linter.process_response_topline(b"HTTP/1.1", b"%d" % answer.status, b"")
    raw = [(name.encode(), value.encode()) for name, value in answer.headers]
    linter.process_headers([(b"Date", http_date(now).encode()), *raw])
    linter.feed_content(answer.body)
    linter.finish_content(True)
    worse = {
        note.subject
        for note in linter.notes
        # The bytes are random, and no text, whatever their name says.
        if note.level in (levels.WARN, levels.BAD) and type(note).__name__ != "CHARSET_UNDECODABLE"
    }
    if answer.headers.get("Content-Type", "").startswith("multipart/"):
        # Later versions miss what must not be there (RFC 9110, section 15.3.7.2).
        worse.discard("field-content-range")
    assert worse == set()
