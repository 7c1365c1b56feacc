"""A file that a server sends by itself: what of it is counted, and how it is closed."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from combinations import outcomes, wait_until
from downloads.clients import ask_wsgi
from prometheus_client import CollectorRegistry
from werkzeug.datastructures import Headers

from streamkit import SizeMismatch, StreamingService
from streamkit.adapting import Request
from streamkit_adapters import wsgi

DATA = os.urandom(200_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def shrink(path: Path) -> None:
    os.truncate(path, len(DATA) - 1)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def served_file(path: Path) -> Any:
    response = StreamingService.download(path, filename="data.bin")
    request = Request(method="GET", headers=Headers(), sends_files=True)
    return response.begin(request, 200, response.headers).body


class TestServerFile:
    """What a server is given to send by itself, which may do so by various means."""

    def sent(self, registry: CollectorRegistry) -> float:
        labels = {"kind": "download", "stream": "download", "tenant": "system"}
        return registry.get_sample_value("stream_bytes_total", labels) or 0

    def test_a_file_that_a_server_reads_is_counted(
        self, path: Path, registry: CollectorRegistry
    ) -> None:
        """As wsgiref does."""
        served = served_file(path)
        assert b"".join(iter(lambda: served.read(1000), b"")) == DATA
        served.close()
        assert (self.sent(registry), outcomes(registry)) == (len(DATA), {"completed": 1})

    def test_a_file_that_a_server_sends_by_its_descriptor_is_counted(
        self, path: Path, registry: CollectorRegistry
    ) -> None:
        """As gunicorn does, which goes back to its beginning."""
        served = served_file(path)
        assert os.pread(served.fileno(), len(DATA), 0) == DATA
        served.seek(len(DATA))
        os.lseek(served.fileno(), 0, os.SEEK_SET)
        served.close()
        assert (self.sent(registry), outcomes(registry)) == (len(DATA), {"completed": 1})

    @pytest.mark.parametrize("change", [grow, shrink])
    def test_a_file_that_a_server_sends_by_its_descriptor_alone_is_counted_if_it_is_whole(
        self, path: Path, change: Callable[[Path], None], registry: CollectorRegistry
    ) -> None:
        """As uWSGI does, which does not tell how far it came."""
        served = served_file(path)
        assert os.pread(served.fileno(), len(DATA), 0) == DATA
        change(path)
        if change is grow:
            served.close()
            assert (self.sent(registry), outcomes(registry)) == (len(DATA), {"completed": 1})
        else:
            with pytest.raises(SizeMismatch, match="the file ended after 199999"):
                served.close()
            assert outcomes(registry) == {"failed": 1}

    def test_a_file_whose_size_a_server_looks_at_has_the_size_that_it_had(
        self, path: Path, registry: CollectorRegistry
    ) -> None:
        """As waitress does, which would send what there is as if that were all."""
        served = served_file(path)
        os.truncate(path, 1000)
        served.seek(0, os.SEEK_END)
        assert served.tell() == len(DATA)
        served.seek(0)
        assert served.read(2000) == DATA[:1000]
        with pytest.raises(SizeMismatch, match="200000 bytes were to come, but the file ended"):
            served.read(1000)
        with pytest.raises(SizeMismatch, match="200000 bytes were to come, but the file ended"):
            served.close()
        assert (self.sent(registry), outcomes(registry)) == (1000, {"failed": 1})

    def test_a_file_that_a_server_reads_by_half_is_disconnected(
        self, path: Path, registry: CollectorRegistry
    ) -> None:
        """As to a client that leaves."""
        served = served_file(path)
        served.read(1000)
        served.close()
        assert (self.sent(registry), outcomes(registry)) == (1000, {"disconnected": 1})

    def test_a_file_that_a_server_never_closes_is_disconnected(
        self, path: Path, registry: CollectorRegistry
    ) -> None:
        """Where a server lets go of it without closing it."""
        served = served_file(path)
        del served
        wait_until(lambda: outcomes(registry) == {"disconnected": 1})

    def test_a_file_that_a_server_sends_is_closed_once(self, path: Path) -> None:
        closes: list[Any] = []

        class File(io.FileIO):
            def close(self) -> None:
                if not self.closed:
                    closes.append(self)
                super().close()

        app = wsgi.StreamingService.download(File(path), filename="data.bin")
        answer = ask_wsgi(app, "GET", Headers(), sends_files=True)
        assert answer.sent_by_server
        assert answer.body == DATA
        assert len(closes) == 1
