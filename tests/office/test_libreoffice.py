"""Workbooks and csv, opened by LibreOffice: an office suite that is told nothing of the file."""

import csv
import shutil
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streamkit import StreamingService

ROWS: list[tuple[Any, str]] = [
    # value, what LibreOffice shows
    (None, ""),
    (True, "TRUE"),
    (1, "1"),
    (2**60, str(2**60)),
    (1.5, "1.5"),
    (Decimal("1.10"), "1.10"),
    (datetime(2024, 2, 29, 1, 2, 3), "2024-02-29 01:02:03"),
    (datetime(2024, 2, 29, 1, 2, 3, 4000), "2024-02-29 01:02:03.004"),
    (datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "2024-02-29 01:02:03Z"),
    (date(2024, 2, 29), "2024-02-29"),
    (date(1850, 1, 1), "1850-01-01"),
    (time(1, 2, 3), "01:02:03"),
    (timedelta(days=1, seconds=5), "24:00:05"),
    ("=1+1", "=1+1"),
    ("007", "007"),
    ("a&<>b\x01", "a&<>b\x01"),
    ("_x0041_", "_x0041_"),
    (" x ", " x "),
    ("a\nb", "a\nb"),
    ("\u00e9\U0001f600", "\u00e9\U0001f600"),
    ([1, "a"], '[1,"a"]'),
]


def office() -> str:
    found = shutil.which("soffice")
    assert found, "LibreOffice is missing: apt-get install libreoffice-calc-nogui"
    return found


def shown(path: Path) -> list[list[str]]:
    """The cells of a file as they are shown, by way of a csv file in UTF-8."""
    profile = path.parent / "profile"
    subprocess.run(
        [
            *(office(), f"-env:UserInstallation={profile.as_uri()}", "--headless"),
            # A comma, a quote and UTF-8; cells are as they are shown, without being told so.
            *("--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76"),
            *("--outdir", str(path.parent / "out"), str(path)),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    text = (path.parent / "out" / path.with_suffix(".csv").name).read_text("utf-8")
    return [*csv.reader(text.splitlines(keepends=True))]


def exported(path: Path, rows: Any, format: Any, **arguments: Any) -> Path:
    path.write_bytes(b"".join(StreamingService.export("e", rows, format, **arguments)))
    return path


def test_a_workbook_shows_what_it_was_made_of(tmp_path: Path) -> None:
    rows = [{"n": n, "value": value} for n, (value, _) in enumerate(ROWS)]
    seen = shown(exported(tmp_path / "e.xlsx", rows, "xlsx", columns={"n": "No.", "value": "<V>"}))
    assert seen[0] == ["No.", "<V>"]
    assert [row[1] for row in seen[1:]] == [text for _, text in ROWS]


def test_a_part_of_a_workbook_is_not_opened(tmp_path: Path) -> None:
    path = exported(tmp_path / "e.xlsx", ({"n": n} for n in range(10_000)), "xlsx")
    whole = path.read_bytes()
    assert len(shown(path)) == 10_001
    (tmp_path / "out" / "e.csv").unlink()
    path.write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(FileNotFoundError):
        shown(path)
