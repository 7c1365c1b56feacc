"""Starts the demo: ``python3 examples/demo [--port N]``.

Everything it needs goes into a virtual environment of its own, beside this file.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
ENVIRONMENT = HERE / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "installed"


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  (whoever starts this may have an older one)
        sys.exit(f"The demo needs Python 3.11 or later; this is {sys.version.split()[0]}.")
    wanted = fingerprint()
    if not PYTHON.exists() or not STAMP.exists() or STAMP.read_text() != wanted:
        install()
        STAMP.write_text(wanted)
    os.environ["PYTHONPATH"] = str(HERE.parent)
    os.execv(PYTHON, [str(PYTHON), "-m", "demo.servers", *sys.argv[1:]])


def fingerprint() -> str:
    """Of what is installed: the requirements, where the checkout is, and this Python."""
    requirements = (CHECKOUT / "pyproject.toml").read_bytes()
    return hashlib.sha256(requirements + f"{CHECKOUT} {sys.version}".encode()).hexdigest()


def install() -> None:
    print(f"Setting up {ENVIRONMENT} (once; a minute at most)", flush=True)
    try:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("This Python cannot make virtual environments: apt-get install python3-venv?")
    import tomllib  # not where Python is too old, which has been said by now

    groups = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["dependency-groups"]
    pip = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, "install", "--editable", str(CHECKOUT), *groups["demo"]])
    if installed.returncode:
        sys.exit("pip could not install the demo: see its message above.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
