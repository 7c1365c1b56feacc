"""A PostgreSQL of the tests' own: a cluster in a temporary directory, on a Unix socket."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql() -> Iterator[str]:
    """Run the server; yield its host, where anybody may connect as ``postgres``."""
    binaries = _binaries()
    # Not below pytest's directory, which is closed to the user that the server runs as.
    directory = tempfile.mkdtemp(prefix="postgresql-")
    # It refuses to run as root.
    user = "postgres" if os.getuid() == 0 else None
    if user is not None:
        shutil.chown(directory, user, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [binaries / program, "--pgdata", f"{directory}/data", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    try:
        run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8")
        options = f"-k {directory} -c listen_addresses= -c fsync=off"
        run("pg_ctl", "start", "--wait", "--log", f"{directory}/log", "--options", options)
        try:
            yield directory
        finally:
            run("pg_ctl", "stop", "--mode=immediate")
    finally:
        shutil.rmtree(directory)


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    # Debian keeps them out of the path.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not versions:
        raise FileNotFoundError("PostgreSQL is needed: apt-get install postgresql")
    return versions[-1]
