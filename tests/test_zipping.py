"""Many files as one download."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import pytest

from streamkit import StreamingService, zipped
from streamkit.encoders.archive import MAX_PLAIN_BYTES
from streamkit.zipping import _Members


def body(entries: Any) -> bytes:
    return b"".join(StreamingService.download(zipped(entries), filename="all.zip"))


def opened(archive: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(archive)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def pieces() -> Iterator[bytes]:
    yield from (b"a", b"", b"b" * 200_000)


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


CONTENT = b"a" + b"b" * 200_000


def test_an_entry_is_a_path_a_file_bytes_or_pieces(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    entries = [
        *(("path", path), ("text path", str(path)), ("file", io.BytesIO(CONTENT))),
        *(("bytes", CONTENT), ("view", memoryview(CONTENT))),
        *(("pieces", pieces()), ("list", [CONTENT])),
    ]
    found = opened(body(iter(entries)))
    assert list(found) == [name for name, _ in entries]
    assert set(found.values()) == {CONTENT}
    assert opened(body([])) == {}


def test_async_entries_may_have_async_contents(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(CONTENT)

    async def entries() -> AsyncIterator[Any]:
        for content in (async_pieces(), pieces(), path, CONTENT):
            yield "f", content

    async def main() -> bytes:
        download = StreamingService.download(zipped(entries()), filename="all.zip")
        return b"".join([chunk async for chunk in download])

    found = opened(asyncio.run(main()))
    assert list(found) == ["f", "f (2)", "f (3)", "f (4)"]
    assert set(found.values()) == {CONTENT}


NAMES: list[tuple[str, str]] = [
    ("a.pdf", "a.pdf"),
    ("may/a.pdf", "may/a.pdf"),
    ("../../etc/passwd", "etc/passwd"),
    ("/etc/passwd", "etc/passwd"),
    ("C:\\x\\..\\a", "C_/x/a"),
    ("a.txt:b", "a.txt_b"),
    (f"{'x' * 200}/" * 500 + "a", f"{'x' * 200}/" * 163 + "a"),
    ("a//./b", "a/b"),
    ("con.txt", "_con.txt"),
    ("a\r\nb\u202egpj", "abgpj"),
    ("..", "file"),
    ("", "file"),
    ("\u00e9\U0001f600.txt", "\u00e9\U0001f600.txt"),
    ("\ud800", "_"),
]


@pytest.mark.parametrize(("name", "safe"), NAMES)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert list(opened(body([(name, b"")]))) == [safe]


def test_names_that_are_there_already_get_a_number() -> None:
    names = ["a.pdf", "a.pdf", "A.PDF", "x.y/a", "x.y/a", ".a", ".a"]
    assert list(opened(body([(name, b"") for name in names]))) == [
        *("a.pdf", "a (2).pdf", "A (3).PDF", "x.y/a", "x.y/a (2)", ".a", ".a (2)"),
    ]


def test_a_file_and_a_folder_are_never_of_one_name() -> None:
    names = ["a", "a/b", "A/c", "x/y/z", "x", "x/y", "x (2)/a", "a (2)"]
    assert list(opened(body([(name, b"") for name in names]))) == [
        *("a", "a (2)/b", "a (2)/c", "x/y/z", "x (2)", "x/y (2)", "x (2) (2)/a", "a (2) (2)"),
    ]


def test_names_that_repeat_are_not_counted_from_the_beginning() -> None:
    members = _Members()
    names = [members._unique("a.pdf") for _ in range(20_000)]
    assert names[-1] == "a (20000).pdf"
    assert members._numbers == {"a.pdf": 20_000}


def test_a_file_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    for seconds, year in ((1_700_000_000, 2023), (0, 1980), (2**33, 2107)):
        os.utime(path, (seconds, seconds))
        with ZipFile(io.BytesIO(body([("f", path)]))) as file:
            assert file.infolist()[0].date_time[0] == year


def test_each_is_opened_when_its_turn_comes_and_closed_before_the_next() -> None:
    log: list[str] = []

    class Content:
        def __init__(self, name: str) -> None:
            self.name = name

        def __iter__(self) -> Iterator[bytes]:
            log.append(f"open {self.name}")
            yield b"x"

        def close(self) -> None:
            log.append(f"close {self.name}")

    body((name, Content(name)) for name in "ab")
    assert log == ["open a", "close a", "open b", "close b"]


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: [("a", b"x"), "ab"], TypeError, "an entry must be a name and what is in it, got 'ab'"),
    (lambda: [("a", b"x"), (1, b"")], TypeError, "an entry must be a name and what is in it"),
    (lambda: [("a", b"x"), ("b", ["text"])], TypeError, "must be bytes-like pieces, got str"),
    (lambda: [("a", b"x"), ("b", io.StringIO(""))], TypeError, "binary file, got one in text mode"),
    (lambda: [("a", b"x"), ("b", "/nowhere")], FileNotFoundError, "nowhere"),
    (lambda: [("a", b"x"), ("b", None)], TypeError, "what is in an entry must .* NoneType"),
]


@pytest.mark.parametrize(("entries", "error", "message"), REFUSED)
def test_a_bad_entry_breaks_the_archive_off(
    entries: Callable[[], Any], error: type[Exception], message: str
) -> None:
    chunks = iter(StreamingService.download(zipped(entries()), filename="all.zip"))
    received = b""
    with pytest.raises(error, match=message):
        while True:
            received += next(chunks)
    with pytest.raises(BadZipFile):
        ZipFile(io.BytesIO(received))


@pytest.mark.parametrize("content", [None, "/nowhere", io.StringIO("")])
def test_an_error_names_the_entry_that_it_is_about(content: Any) -> None:
    with pytest.raises((TypeError, OSError)) as raised:
        body([("may/a.pdf", content)])
    assert raised.value.__notes__ == ["It was raised for the entry 'may/a.pdf' of the archive."]


def test_what_are_no_entries_is_refused_at_the_call() -> None:
    with pytest.raises(TypeError, match="entries must be an iterable"):
        zipped(7)  # type: ignore[arg-type]


def test_only_what_may_be_large_has_64_bit_sizes() -> None:
    for content, version in ((b"x", 20), (pieces(), 45)):
        with ZipFile(io.BytesIO(body([("f", content)]))) as file:
            assert file.infolist()[0].extract_version == version
    assert MAX_PLAIN_BYTES < 2**31
