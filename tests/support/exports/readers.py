"""Other people's readers, each giving back what it has understood."""

import csv
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
import pandas
import simdjson
from node import NODE, installed

__all__ = ["JSON_READERS", "Table", "Tables", "tables"]

Table = list[list[str | None]]
"""The header and the rows. Only some readers tell an empty text from a null."""

JSON_READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "json": json.loads,
    "orjson": orjson.loads,
    "simdjson": lambda body: simdjson.loads(body),
}


class Tables:
    """Readers of csv, under their names."""

    def __init__(self, directory: Path, node: "subprocess.Popen[bytes]") -> None:
        self._path = directory / "table.csv"
        self._node = node

    def read(self, reader: str, body: bytes) -> Table:
        table: Table = getattr(self, f"_{reader}")(body)
        return table

    def _csv(self, body: bytes) -> Table:
        return [*csv.reader(io.StringIO(body.decode(), newline=""), strict=True)]

    def _pandas(self, body: bytes) -> Table:
        frame = pandas.read_csv(
            io.BytesIO(body), header=None, dtype=object, keep_default_na=False, na_filter=False
        )
        table: Table = frame.to_numpy().tolist()
        return table

    def _duckdb(self, body: bytes) -> Table:
        self._path.write_bytes(body)
        relation = duckdb.read_csv(
            self._path,
            header=True,
            delimiter=",",
            quotechar='"',
            escapechar='"',
            lineterminator="\\r\\n",
            all_varchar=True,
            allow_quoted_nulls=False,
        )
        return [relation.columns, *map(list, relation.fetchall())]

    def _papaparse(self, body: bytes) -> Table:
        self._path.write_bytes(body)
        assert self._node.stdin
        assert self._node.stdout
        self._node.stdin.write(json.dumps(str(self._path)).encode() + b"\n")
        self._node.stdin.flush()
        parsed = orjson.loads(self._node.stdout.readline())
        assert parsed["errors"] == []
        table: Table = parsed["rows"]
        return table


CSV_READERS: Final = ["csv", "pandas", "duckdb", "papaparse"]

PACKAGES: Final = Path(__file__).with_name("package.json")
"""What npm installs, and the versions."""


@contextmanager
def tables(directory: Path) -> Iterator[Tables]:
    """With papaparse installed in ``directory``. Raises RuntimeError if npm cannot do that."""
    environment = installed(PACKAGES, directory)
    script = Path(__file__).with_name("papaparse.js")
    with subprocess.Popen(
        [NODE, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        yield Tables(directory, process)
        # It ends with its input.
        assert process.stdin
        process.stdin.close()
