"""Run the tests, from a fresh checkout on a fresh machine: ``python3 tests [tox arguments]``.

Of all that comes from PyPI and npm the versions are pinned, and ``python3 tests -e renew`` pins the
newest; ``python3 tests -e newest`` runs the tests with those before. From Debian comes what it has.

Sets up what they need first: tox in an environment of its own, every installed Python that is
supported, and, with apt, a browser, proxies, PostgreSQL, Redis and Prometheus. Takes some fifteen
minutes.
"""

import os
import shutil
import subprocess
import sys
import venv
from configparser import RawConfigParser
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".tox"
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
SUPPORTED = ("3.11", "3.12", "3.13")
PROGRAMS = {
    "aria2c": "aria2",
    "caddy": "caddy",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "curl": "curl",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "nginx": "nginx",
    "promtool": "prometheus",
    "redis-server": "redis-server",
    "wget": "wget",
}
AT_A_TIME = str((os.cpu_count() or 1) + 1)
ALL = ("run-parallel", "--parallel", AT_A_TIME, "--parallel-no-spinner")
"""tox arguments: one environment more than processors, as that of the servers mostly waits."""

POSTGRESQL = Path("/usr/lib/postgresql")


def run(*command: str | Path) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


def install_programs() -> None:
    # Debian has some where only root looks.
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [
        package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)
    ]
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


def remove_other_versions() -> None:
    """tox would keep environments that were made with other versions than those pinned now."""
    versions = "".join(path.read_text() for path in sorted(CONSTRAINTS.parent.glob("constraints*")))
    made_with = ENVIRONMENTS / "made-with.txt"
    if made_with.exists() and made_with.read_text() == versions:
        return
    if ENVIRONMENTS.exists():
        shutil.rmtree(ENVIRONMENTS)
    ENVIRONMENTS.mkdir()
    made_with.write_text(versions)


def tox() -> Path:
    environment = ENVIRONMENTS / "bootstrap"
    program = environment / "bin" / "tox"
    if not program.exists():
        import tomllib  # not where Python is too old, which is yet to be said

        groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
        install = (environment / "bin" / "python", "-m", "pip", "install", "-q")
        venv.create(environment, with_pip=True, clear=True)
        run(*install, "--constraint", CONSTRAINTS, *groups["tox"])
    return program


def leave_proxies_out() -> None:
    """For what the tests themselves serve on this machine."""
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if direct != "*":
        direct = ",".join(filter(None, [direct, "127.0.0.1", "localhost"]))
        os.environ |= {"no_proxy": direct, "NO_PROXY": direct}


def name_settings() -> None:
    """What ``tests/environment.py`` is to find in every environment.

    All but UV_PYTHON, which tox-uv takes out, as it would prevail over the environment.
    """
    config = RawConfigParser()
    config.read(ROOT / "tox.ini")
    patterns = config["machine"]["pass_env"].lower().split()
    settings = {name for name in os.environ if any(fnmatch(name.lower(), p) for p in patterns)}
    os.environ["TEST_MACHINE"] = " ".join(sorted(settings - {"UV_PYTHON"}))


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - as it is the first thing to be run
        sys.exit(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}.")
    install_programs()
    remove_other_versions()
    program = tox()
    find_pythons()
    leave_proxies_out()
    os.environ["UV_PYTHON_DOWNLOADS"] = "never"
    name_settings()
    return subprocess.run([program, *(sys.argv[1:] or ALL)], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
