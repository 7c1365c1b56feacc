"""What is published: the source distribution, the wheel, and the page that shows them."""

import re
import subprocess
import sys
import tarfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]

EXTRAS = {"flask", "django", "starlette", "fastapi", "arrow", "br", "zstd", "redis", "otel"}


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    return contents(built)


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel[name])


def contents(folder: Path) -> dict[str, bytes]:
    (path,) = folder.glob("*.whl")
    with ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_the_index_takes_them(built: Path) -> None:
    files = map(str, built.iterdir())
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    subprocess.run(command, check=True, capture_output=True)


def test_the_source_distribution_builds_the_same_wheel(
    build: Any, built: Path, wheel: dict[str, bytes], tmp_path: Path
) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as file:
        file.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    build(folder, tmp_path / "dist", "wheel")
    assert contents(tmp_path / "dist") == wheel


def test_the_wheel_has_both_packages_and_nothing_else(wheel: dict[str, bytes]) -> None:
    folders = {re.sub(r"-.*(\.dist-info)$", r"\1", name.partition("/")[0]) for name in wheel}
    assert folders == {"streamkit", "streamkit_adapters", "streamkit_http.dist-info"}
    assert {"streamkit/py.typed", "streamkit_adapters/py.typed"} <= wheel.keys()


def test_the_extras_are_those_of_users(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS


def test_the_page_leads_to_files_of_the_repository(metadata: Message) -> None:
    page = metadata.get_payload()
    assert isinstance(page, str)
    assert page.startswith("# streamkit")
    links = re.findall(r"\]\(([^)]+)\)", page)
    start = "https://github.com/streamkit-http/streamkit/blob/main/"
    ours = [link.removeprefix(start) for link in links if link.startswith(start)]
    assert ours
    assert [link for link in ours if not (ROOT / link.partition("#")[0]).exists()] == []
    assert [link for link in links if "://" not in link] == []
    pictures = re.findall(r' src(?:set)?="([^"]+)"', page)
    raw = "https://raw.githubusercontent.com/streamkit-http/streamkit/main/"
    assert pictures
    assert all((ROOT / picture.removeprefix(raw)).is_file() for picture in pictures)
