"""What may be downloaded, what is told of it, and what comes when it is not as it was said."""

import gzip
import io
import os
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asgi_client import get
from combinations import outcomes
from downloads.clients import ask_wsgi
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers
from werkzeug.http import http_date, parse_date

from streamkit import SizeMismatch, StreamingService
from streamkit_adapters import asgi, wsgi

DATA = os.urandom(200_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def download(source: Any, **options: Any) -> Any:
    return StreamingService.download(source, filename="data.bin", **options)


def read(source: Any, **options: Any) -> bytes:
    return b"".join(download(source, **options))


def ask(source: Any, *, sends_files: bool = False, **options: Any) -> Any:
    headers = Headers({k.replace("_", "-"): v for k, v in options.pop("headers", {}).items()})
    app = wsgi.StreamingService.download(source, filename="data.bin", **options)
    return ask_wsgi(app, "GET", headers, sends_files=sends_files)


def pieces(start: int, stop: int) -> Iterator[bytes]:
    yield DATA[start:stop]


async def async_pieces(start: int, stop: int) -> AsyncIterator[bytes]:
    yield DATA[start:stop]


async def coroutine(start: int, stop: int) -> bytes:
    return DATA[start:stop]


class TestErrorsAtTheCall:
    def test_a_path_without_a_file_to_read_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="source must be a file that can be read"):
            download(tmp_path / "missing")
        with pytest.raises(IsADirectoryError, match="source must be .* read: Is a dir"):
            download(tmp_path)
        with pytest.raises(NotADirectoryError):
            download("/dev/null/data")

    def test_an_unreadable_file_is_refused(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As one is to anybody but root."""

        def refuse(path: str, opener: Any) -> Any:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(io, "FileIO", refuse)
        with pytest.raises(PermissionError, match="can be read: Permission denied"):
            download(path)

    @pytest.mark.parametrize(
        "path", ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"]
    )
    def test_a_file_that_is_made_as_it_is_read_is_refused(self, path: str) -> None:
        """Its size says nothing: it would be sent empty, or break off."""
        if not os.path.exists(path):
            pytest.skip("not on this system")
        with pytest.raises(ValueError, match="a file that knows its size"):
            download(path)

    def test_nothing_stays_open_of_what_is_refused(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        descriptors = Path("/proc/self/fd")
        if not descriptors.exists():
            pytest.skip("not on this system")
        before = len([*descriptors.iterdir()])
        for path in (tmp_path / "pipe", "/proc/self/status", tmp_path):
            with pytest.raises((ValueError, OSError), match="source must be"):
                download(path)
        assert len([*descriptors.iterdir()]) == before

    def test_a_path_that_no_system_takes_is_refused(self) -> None:
        with pytest.raises(ValueError, match="source must be the path of a file"):
            download("a\0b")

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="source must be the path of a regular file"):
            download(tmp_path / "pipe")

    def test_files_that_give_no_bytes_are_refused(self, path: Path) -> None:
        with path.open() as file, pytest.raises(TypeError, match="source must be a binary file"):
            download(file)
        with (
            NamedTemporaryFile("w+") as temporary,
            pytest.raises(TypeError, match="source must be a binary file"),
        ):
            download(temporary)
        for mode in ("wb", "ab"):
            with path.open(mode) as writer, pytest.raises(ValueError, match="open for reading"):
                download(writer)
            with io.FileIO(path, mode[:1]) as raw, pytest.raises(ValueError, match="for reading"):
                download(raw)
        with path.open("rb") as closed:
            pass
        with pytest.raises(ValueError, match="closed file"):
            download(closed)

    @pytest.mark.parametrize(
        ("source", "size", "error"),
        [
            (pieces, None, "size, in bytes, must be given with a source that is a function"),
            (lambda: None, 1, "got a function: call it"),
            (lambda start: None, 1, "be a function of two offsets"),
            (lambda start, stop, more: None, 1, "be a function of two offsets"),
            (coroutine, 1, "got the coroutine function"),
            (None, None, "source must be an iterable"),
            (DATA, len(DATA) + 1, "size must be that of source, 200000, got 200001"),
            (io.BytesIO(DATA), 1, "size must be that of source, 200000, got 1"),
        ],
    )
    def test_other_sources_are_refused(self, source: Any, size: int | None, error: str) -> None:
        with pytest.raises((TypeError, ValueError), match=error):
            download(source, size=size)

    @pytest.mark.parametrize("etag", ["", 'a"b', "a b", "é", '"a', 'w/"a"', "a\r\n"])
    def test_bad_entity_tags_are_refused(self, etag: str) -> None:
        with pytest.raises(ValueError, match="etag must be"):
            download(b"", etag=etag)


class TestSources:
    @pytest.mark.parametrize("mode", ["rb", "r+b"])
    @pytest.mark.parametrize("buffering", [0, -1])
    def test_an_open_file_goes_from_where_it_stands(
        self, path: Path, mode: Any, buffering: int
    ) -> None:
        for offset in (0, 5, len(DATA), len(DATA) + 5):
            file: Any = path.open(mode, buffering=buffering)
            file.seek(offset)
            response = download(file)
            assert response.headers["Content-Length"] == str(len(DATA[offset:]))
            assert b"".join(response) == DATA[offset:]
            assert file.closed

    def test_what_was_written_and_not_yet_flushed_is_sent(self) -> None:
        with NamedTemporaryFile() as file:
            file.write(DATA)
            file.seek(0)
            assert read(file) == DATA
        with NamedTemporaryFile() as file:
            file.write(DATA)
            assert read(file) == b""

    def test_buffers_around_something_else_than_a_file_are_read(self, tmp_path: Path) -> None:
        """Whose descriptor tells nothing of them."""
        compressed, archive = tmp_path / "data.gz", tmp_path / "data.tar"
        compressed.write_bytes(gzip.compress(DATA))
        with gzip.open(compressed) as file, gzip.open(compressed) as raw:
            assert read(file) == DATA
            assert read(io.BufferedReader(raw)) == DATA
        with tarfile.open(archive, "w") as tar:
            tar.add(compressed, "member")
        with tarfile.open(archive) as tar:
            assert read(tar.extractfile("member")) == compressed.read_bytes()

    def test_a_spooled_file_is_read_and_closed(self) -> None:
        with SpooledTemporaryFile() as file:
            file.write(DATA)
            file.seek(0)
            assert read(file) == DATA
            assert file.closed

    def test_a_file_that_reads_another_one_in_its_own_way_is_not_bypassed(self, path: Path) -> None:
        """As one may that decrypts."""

        class Backwards:
            def __init__(self, file: Any) -> None:
                self.file = file

            def read(self, size: int) -> bytes:
                piece: bytes = self.file.read(size)
                return piece[::-1]

        with path.open("rb") as file, io.BytesIO(b"memory") as memory:
            assert read(Backwards(file)) != DATA
            assert read(Backwards(memory)) == b"yromem"

    def test_bytes_are_those_of_the_call(self) -> None:
        data, memory = bytearray(b"before"), io.BytesIO(b"before")
        responses = download(data), download(memory)
        data[:] = b"after!"
        memory.write(b"after!")
        assert [b"".join(response) for response in responses] == [b"before", b"before"]
        assert memory.closed

    def test_strided_memory_is_sent(self) -> None:
        assert read(memoryview(DATA)[::2]) == DATA[::2]

    def test_a_relative_path_goes_to_the_server_as_an_absolute_one(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(path.parent)
        assert sent_path(Path(path.name)) == str(path)

    def test_a_function_is_not_asked_for_the_bytes_of_nothing(self) -> None:
        assert read(lambda start, stop: 1 / 0, size=0) == b""

    @pytest.mark.parametrize("pieces", [pieces(0, 10), None, 5])
    def test_a_function_must_return_an_iterable(self, pieces: Any) -> None:
        expected = b"" if pieces is None or pieces == 5 else DATA[:10]
        if expected:
            assert read(lambda start, stop: pieces, size=10) == expected
        else:
            with pytest.raises(TypeError, match="source must return an iterable of bytes"):
                read(lambda start, stop: pieces, size=10)

    def test_a_function_must_not_return_what_is_read_asynchronously(self) -> None:
        with pytest.raises(TypeError, match="or be an async generator function, and returned"):
            read(lambda start, stop: async_pieces(start, stop), size=10)


class TestValidators:
    def test_a_file_has_a_strong_entity_tag(self, path: Path) -> None:
        etag = download(path).headers["ETag"]
        assert etag.startswith('"')
        assert download(path).headers["ETag"] == etag
        assert download(path.open("rb")).headers["ETag"] == etag
        changes: list[Callable[[], object]] = [
            lambda: os.utime(path, ns=(0, path.stat().st_mtime_ns + 1)),
            lambda: _append(path),
            lambda: _replace(path),
        ]
        seen = {etag}
        for change in changes:
            change()
            assert download(path).headers["ETag"] not in seen
            seen.add(download(path).headers["ETag"])
        file = path.open("rb")
        file.seek(1)
        assert download(file).headers["ETag"] not in seen

    def test_a_file_has_the_time_of_its_modification(self, path: Path) -> None:
        os.utime(path, (1, 1_600_000_000.9))
        assert download(path).headers["Last-Modified"] == http_date(1_600_000_000)

    def test_a_file_that_may_change_again_in_its_second_goes_without_a_date(
        self, path: Path
    ) -> None:
        """Its date would be that of two versions, and a range could be spliced of both."""
        modified = -1.0
        while int(modified) != int(time.time()):
            os.utime(path)
            modified = path.stat().st_mtime
            headers = download(path).headers
        assert "Last-Modified" not in headers
        os.utime(path, (1, modified - 2))
        assert "Last-Modified" in download(path).headers

    def test_bytes_have_an_entity_tag_of_their_content_and_no_time(self) -> None:
        headers = download(DATA).headers
        assert headers["ETag"] == download(io.BytesIO(DATA)).headers["ETag"]
        assert headers["ETag"] != download(DATA[1:]).headers["ETag"]
        assert "Last-Modified" not in headers

    def test_a_function_goes_without_validators(self) -> None:
        headers = download(pieces, size=len(DATA)).headers
        assert not {"ETag", "Last-Modified"} & {*headers.keys()}
        assert headers["Accept-Ranges"] == "bytes"

    @pytest.mark.parametrize(
        ("etag", "sent"), [("v1", '"v1"'), ('"v1"', '"v1"'), ('W/"v1"', 'W/"v1"'), ('""', '""')]
    )
    def test_an_entity_tag_of_the_users_is_sent(self, etag: str, sent: str, path: Path) -> None:
        assert download(path, etag=etag).headers["ETag"] == sent
        assert download(iter(()), etag=etag).headers["ETag"] == sent

    @pytest.mark.parametrize(
        "modified",
        [
            datetime(2020, 1, 2, 3, 4, 5, 999_999),
            datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
            datetime.fromisoformat("2020-01-02T05:04:05+02:00"),
        ],
    )
    def test_a_time_of_the_users_is_sent(self, modified: datetime, path: Path) -> None:
        response = download(path, last_modified=modified)
        assert response.headers["Last-Modified"] == "Thu, 02 Jan 2020 03:04:05 GMT"

    @pytest.mark.parametrize(("fold", "hour"), [(0, 5), (1, 6)])
    def test_an_hour_that_there_was_twice_is_told_by_its_fold(self, fold: int, hour: int) -> None:
        modified = datetime(2020, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=fold)
        sent = download(DATA, last_modified=modified).headers["Last-Modified"]
        assert sent == f"Sun, 01 Nov 2020 0{hour}:30:00 GMT"

    def test_no_time_is_in_the_future(self, path: Path) -> None:
        """Says RFC 9110, section 8.8.2.1."""
        os.utime(path, (1, 9_999_999_999))
        now = datetime.now(UTC)
        for response in (download(path), download(b"", last_modified=now + timedelta(days=1))):
            sent = parse_date(response.headers["Last-Modified"])
            assert sent is not None
            assert now.replace(microsecond=0) <= sent <= datetime.now(UTC)
            response.close()

    def test_a_version_that_is_not_known_for_sure_has_no_ranges(self) -> None:
        """It has a weak tag, or a time at which there may have been two versions."""
        partial = {"Range": "bytes=0-9"}
        answer = ask(DATA, etag='W/"v1"', headers=partial | {"If-Range": 'W/"v1"'})
        assert answer.status == 200
        now = datetime.now(UTC)
        answer = ask(DATA, last_modified=now, headers=partial | {"If-Range": http_date(now)})
        assert answer.status == 200

    def test_parts_go_without_a_type_that_was_taken_away(self) -> None:
        app = wsgi.StreamingService.download(DATA, filename="data.bin")
        del app.headers["Content-Type"]
        answer = ask_wsgi(app, "GET", Headers({"Range": "bytes=0-0,9-9"}), sends_files=False)
        assert answer.status == 206
        assert answer.body.count(b"Content-Range: bytes") == 2
        assert b"Content-Type" not in answer.body

    def test_validators_that_were_set_afterwards_count(self) -> None:
        app = wsgi.StreamingService.download(DATA, filename="data.bin")
        app.headers["ETag"] = '"mine"'
        headers = Headers({"If-None-Match": '"mine"'})
        assert ask_wsgi(app, "GET", headers, sends_files=False).status == 304

    def test_a_status_of_the_users_is_left_alone(self) -> None:
        app = wsgi.StreamingService.download(DATA, filename="data.bin")
        app.status = 203
        headers = Headers({"Range": "bytes=0-9", "If-None-Match": "*"})
        answer = ask_wsgi(app, "GET", headers, sends_files=False)
        assert (answer.status, answer.body) == (203, DATA)


def _append(path: Path) -> None:
    status = path.stat()
    with path.open("ab") as file:
        file.write(b"more")
    os.utime(path, ns=(0, status.st_mtime_ns))


def _replace(path: Path) -> None:
    status = path.stat()
    data = path.read_bytes()
    path.rename(path.with_name("old"))
    path.write_bytes(data)
    os.utime(path, ns=(0, status.st_mtime_ns))


def sent_path(source: Any, between: Callable[[], object] = lambda: None) -> str | None:
    """The path that a server is given to send by itself."""
    app = asgi.StreamingService.download(source, filename="data.bin")
    between()

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"extensions": {"http.response.pathsend": {}}}, receive, send)

    client = get(wrapped)
    assert client.body == b"" or client.body == DATA
    paths: list[str] = [event["path"] for event in client.sent if "path" in event]
    return paths[0] if paths else None


class TestPathSend:
    def test_a_file_that_was_replaced_or_removed_meanwhile_is_not_sent_by_its_path(
        self, path: Path
    ) -> None:
        """It is read as it was, by what had been opened: its head is of that version."""
        assert sent_path(path) == str(path)
        assert sent_path(path, lambda: _replace(path)) is None
        assert sent_path(path, path.unlink) is None


def shrink(path: Path) -> None:
    os.truncate(path, len(DATA) - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


class TestSizes:
    """A body is broken off by what is raised after its last chunk, and never looks complete."""

    @pytest.mark.parametrize("change", [shrink, empty])
    @pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-"}, {"Range": "bytes=-9,0-9"}])
    @pytest.mark.parametrize("sends_files", [False, True])
    def test_a_file_that_shrinks_breaks_off(
        self,
        path: Path,
        change: Callable[[Path], None],
        headers: dict[str, str],
        sends_files: bool,
        registry: CollectorRegistry,
    ) -> None:
        app = wsgi.StreamingService.download(path, filename="data.bin")
        change(path)
        with pytest.raises(SizeMismatch, match="bytes were to come, .*ended"):
            ask_wsgi(app, "GET", Headers(headers), sends_files=sends_files)
        assert outcomes(registry) == {"failed": 1}

    @pytest.mark.parametrize("sends_files", [False, True])
    def test_a_file_that_grows_is_sent_as_it_was(
        self, path: Path, sends_files: bool, registry: CollectorRegistry
    ) -> None:
        app = wsgi.StreamingService.download(path, filename="data.bin")
        grow(path)
        answer = ask_wsgi(app, "GET", Headers(), sends_files=sends_files)
        assert answer.body == DATA
        assert outcomes(registry) == {"completed": 1}

    @pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-"}, {"Range": "bytes=-9,0-9"}])
    @pytest.mark.parametrize("change", [-1, 1])
    @pytest.mark.parametrize("is_async", [False, True])
    def test_a_function_that_yields_less_or_more_breaks_off(
        self, headers: dict[str, str], change: int, is_async: bool
    ) -> None:
        def wrong(start: int, stop: int) -> Iterator[bytes]:
            return pieces(start, stop + change)

        async def async_wrong(start: int, stop: int) -> AsyncIterator[bytes]:
            yield DATA[start : stop + change]

        # Not all of it: there are to be more bytes.
        app = wsgi.StreamingService.download(
            async_wrong if is_async else wrong, filename="data.bin", size=len(DATA) - 1
        )
        with pytest.raises(SizeMismatch, match="bytes were to come"):
            ask_wsgi(app, "GET", Headers(headers), sends_files=False)

    @pytest.mark.parametrize("element", ["text", 5, None])
    def test_a_function_that_yields_no_bytes_breaks_off(self, element: Any) -> None:
        with pytest.raises(TypeError, match="source must yield bytes-like objects, got"):
            read(lambda start, stop: [element], size=4)

    def test_a_function_that_fails_breaks_off(self) -> None:
        def fail(start: int, stop: int) -> Iterator[bytes]:
            yield DATA[start : start + 1]
            raise ConnectionResetError("the store is gone")

        with pytest.raises(ConnectionResetError, match="the store is gone"):
            read(fail, size=2)
