"""What is kept for good: who asked what, and what was answered, in SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    chat TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL DEFAULT '',
    ending TEXT  -- done, stopped or failed; NULL as long as it goes on
);
CREATE INDEX IF NOT EXISTS message_of_chat ON message (chat);
"""


class Store:
    """Any thread and any process may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(f"PRAGMA journal_mode = WAL; {SCHEMA}")

    def add(self, chat: str, key: str, question: str) -> None:
        with self._open() as database:
            database.execute(
                "INSERT INTO message (key, chat, question) VALUES (?, ?, ?)", (key, chat, question)
            )

    def finish(self, key: str, answer: str, ending: str) -> None:
        with self._open() as database:
            database.execute(
                "UPDATE message SET answer = ?, ending = ? WHERE key = ?", (answer, ending, key)
            )

    def message(self, key: str) -> dict[str, Any] | None:
        with self._open() as database:
            row = database.execute("SELECT * FROM message WHERE key = ?", (key,)).fetchone()
        return row and dict(row)

    def messages(self, chat: str) -> list[dict[str, Any]]:
        with self._open() as database:
            rows = database.execute("SELECT * FROM message WHERE chat = ? ORDER BY number", (chat,))
            return [dict(row) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
            database.row_factory = sqlite3.Row
            yield database
