"""An index of Python's own library in SQLite: one row a source file, one row a source line."""

import hashlib
import os
import platform
import sqlite3
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import NamedTuple

ROOT = Path(sysconfig.get_path("stdlib"))
DATABASE = Path(__file__).parent / "data" / f"library-{platform.python_version()}.sqlite3"

LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
"""Folders that are not the library proper; some distributions do not install its tests."""

TABLES = """
CREATE TABLE file (
    id INTEGER PRIMARY KEY, path TEXT, size INTEGER, modified TEXT, lines INTEGER, sha256 TEXT
);
CREATE TABLE line (file INTEGER REFERENCES file, number INTEGER, text TEXT);
"""


class Line(NamedTuple):
    """A source line that is not blank, with the file that it is in; ``size`` in bytes."""

    path: str
    size: int
    modified: str
    lines: int
    sha256: str
    line: int
    text: str


class Library:
    """The index: built on first use, then only read. Safe to use from any thread."""

    def __init__(self) -> None:
        if not DATABASE.exists():
            _build()
        with closing(sqlite3.connect(DATABASE)) as database:
            self.paths = [path for (path,) in database.execute("SELECT path FROM file ORDER BY id")]
            (self.rows,) = database.execute("SELECT count(*) FROM line").fetchone()

    def lines(self) -> Iterator[Line]:
        """All lines in the order of the sources.

        The connection is opened here and not by the caller: SQLite binds it to its thread, and a
        source runs on a thread of its own.
        """
        with closing(sqlite3.connect(DATABASE)) as database:
            yield from map(
                Line._make,
                database.execute(
                    "SELECT path, size, modified, lines, sha256, number, text"
                    " FROM line JOIN file ON file.id = line.file ORDER BY line.rowid"
                ),
            )


def _build() -> None:
    paths = sorted(
        path for path in ROOT.rglob("*.py") if not LEFT_OUT & {*path.relative_to(ROOT).parts}
    )
    DATABASE.parent.mkdir(exist_ok=True)
    unfinished = DATABASE.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as database:
        database.executescript(TABLES)
        for number, path in enumerate(paths, 1):
            _index(database, number, path)
            if number % 100 == 0 or number == len(paths):
                print(f"Indexing Python's library: {number} of {len(paths)} files", flush=True)
        database.commit()
    os.replace(unfinished, DATABASE)


def _index(database: sqlite3.Connection, number: int, path: Path) -> None:
    source = path.read_bytes()
    lines = list(StringIO(source.decode(errors="replace"), newline=None))
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    database.execute(
        "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?)",
        (
            number,
            path.relative_to(ROOT).as_posix(),
            len(source),
            modified.isoformat(timespec="seconds"),
            len(lines),
            hashlib.sha256(source).hexdigest(),
        ),
    )
    database.executemany(
        "INSERT INTO line VALUES (?, ?, ?)",
        ((number, at, text.rstrip("\n")) for at, text in enumerate(lines, 1) if text.strip()),
    )
