"""The distribution, built once."""

import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Build(Protocol):
    def __call__(self, folder: Path, out: Path, *targets: str) -> None: ...


@pytest.fixture(scope="session")
def build() -> Build:
    def build(folder: Path, out: Path, *targets: str) -> None:
        command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out)]
        options = [option for target in targets for option in ("--target", target)]
        subprocess.run([*command, *options], cwd=folder, check=True, capture_output=True)

    return build


@pytest.fixture(scope="session")
def built(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the source distribution and the wheel are in."""
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out, "sdist", "wheel")
    return out
