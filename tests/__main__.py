"""Run all tests, from a fresh checkout on a fresh machine: ``python3 tests [tox arguments]``.

Sets up what they need first: tox in an environment of its own, every installed Python that is
supported, and, with apt, a browser and PostgreSQL. Takes some ten minutes.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ("3.11", "3.12", "3.13")
PROGRAMS = {
    "aria2c": "aria2",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "curl": "curl",
    "ip": "iproute2",
    "wget": "wget",
}
ALL = ("run-parallel", "--parallel", "auto", "--parallel-no-spinner")
"""tox arguments: as many environments at a time as there are processors."""

POSTGRESQL = Path("/usr/lib/postgresql")


def run(*command: str | Path) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


def install_programs() -> None:
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not shutil.which("initdb") and not [*POSTGRESQL.glob("*/bin/initdb")]:
        missing.append("postgresql")
    if not missing:
        return
    if not shutil.which("apt-get"):
        print("The tests need", *missing, "and some will fail without.")
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    run(*sudo, "apt-get", "update", "-qq")
    run(*sudo, "apt-get", "install", "-qq", "--yes", "--no-install-recommends", *missing)


def find_pythons() -> None:
    """Put all supported versions that pyenv has on the path, and not just the current one."""
    if not shutil.which("pyenv"):
        return
    versions = output("pyenv", "versions", "--bare").split()
    supported = [version for version in versions if version.startswith(SUPPORTED)]
    folders = [f"{output('pyenv', 'prefix', version)}/bin" for version in supported]
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *folders])


def output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def tox() -> Path:
    environment = ROOT / ".tox" / "bootstrap"
    program = environment / "bin" / "tox"
    if not program.exists():
        venv.create(environment, with_pip=True, clear=True)
        run(environment / "bin" / "python", "-m", "pip", "install", "-q", "tox>=4.24", "tox-uv")
    return program


def leave_proxies_out() -> None:
    """For what the tests themselves serve on this machine."""
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if direct != "*":
        direct = ",".join(filter(None, [direct, "127.0.0.1", "localhost"]))
        os.environ |= {"no_proxy": direct, "NO_PROXY": direct}


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - as it is the first thing to be run
        sys.exit(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}.")
    install_programs()
    program = tox()
    find_pythons()
    leave_proxies_out()
    os.environ["UV_PYTHON_DOWNLOADS"] = "never"
    return subprocess.run([program, *(sys.argv[1:] or ALL)], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
