"""What is said and counted of streams, which none of them fails of."""

import logging
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from combinations import Combination, SyncSource, wait_until
from prometheus_client import CollectorRegistry, Counter

from streamkit import ServerSentEvent, StreamingService, collectors, log
from streamkit.metrics import MetricsService, StreamMetrics


@pytest.fixture(autouse=True)
def _nothing_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_said", set())


class RaisingHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise ZeroDivisionError


@pytest.fixture
def _raising_handler() -> Iterator[None]:
    handler = RaisingHandler()
    log.logger.addHandler(handler)
    log.logger.setLevel(logging.DEBUG)
    yield
    log.logger.removeHandler(handler)
    log.logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("_raising_handler")
def test_a_handler_that_raises_is_told_of_once_and_streams_go_on(
    combination: Combination, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    over: list[object] = []
    for _ in range(3):
        source = combination.source([ServerSentEvent("", id="a\nb"), "event"])
        response = StreamingService.sse("s", source)
        response.call_on_close(over.append)
        body = combination.reader.open(response).rest()
        assert body.endswith(b"data: event\n\n")
    wait_until(lambda: over == [None] * 3)
    assert stderr.getvalue().count("Traceback") == 1


class RaisingMetrics(StreamMetrics):
    def opened(self) -> None:
        raise OSError(28, "No space left on device")

    added = sent = closed = first_byte = opened  # type: ignore[assignment]


def test_metrics_that_raise_are_told_of_once_and_streams_go_on(
    combination: Combination, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamkit.service.stream_metrics", lambda *labels: RaisingMetrics())
    over: list[object] = []
    for _ in range(3):
        response = StreamingService.export("e", combination.source([1, 2]), "ndjson")
        response.call_on_close(over.append)
        assert combination.reader.open(response).rest() == b"1\n2\n"
    wait_until(lambda: over == [None] * 3)
    assert [r.message for r in caplog.records if "No space left" in r.message] == [
        "metrics cannot be counted: [Errno 28] No space left on device"
    ]


def test_a_metric_of_the_applications_own_with_one_of_our_names(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Streams are not counted then, and go on."""
    registry = CollectorRegistry()
    Counter("stream_bytes_total", "The application's own.", registry=registry)
    monkeypatch.setattr(collectors, "_registry", registry)
    for _ in range(3):
        assert list(StreamingService.export("e", SyncSource([1]), "ndjson")) == [b"1\n"]
    (said,) = [record.message for record in caplog.records if "not counted" in record.message]
    assert "stream_bytes" in said


def test_a_folder_of_the_multiprocess_mode_that_cannot_be_written_to(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fail(service: Any, *labels: str) -> Any:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(MetricsService, "stream", fail)
    monkeypatch.setattr(collectors, "_registry", CollectorRegistry())
    for _ in range(3):
        assert list(StreamingService.export("e", SyncSource([1]), "ndjson")) == [b"1\n"]
    assert len([r for r in caplog.records if "Permission denied" in r.message]) == 1


def test_the_same_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for message in ("one", "two", "one", "two"):
        log.say_once(message)
    assert caplog.messages == ["one", "two"]
