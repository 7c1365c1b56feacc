"""Exports of a table in every format, against the libraries that write the same into a file.

Each way is in a process of its own, for its memory. ``python -m benchmarks.tables``
"""

import csv
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from streamkit import ExportFormat, StreamingService

from .measure import print_table

__all__ = ["main"]

COUNT: Final = 1_000_000
ROUNDS: Final = 3
NAMES: Final = ("id", "name", "price", "paid", "at")
START: Final = datetime(2024, 1, 1)


class Measured(NamedTuple):
    seconds: float
    processor: float
    first: float
    """Seconds to the first byte; to all of a file that is only there as a whole."""
    grown: int
    """Bytes by which the process grew, with the source of the rows already in it."""
    size: int


def rows() -> Iterator[tuple[Any, ...]]:
    second = timedelta(seconds=1)
    for n in range(COUNT):
        yield n, f"name {n}", n * 0.37, n % 2 == 0, START + n * second


def columns() -> dict[str, list[Any]]:
    return dict(zip(NAMES, map(list, zip(*rows(), strict=True)), strict=True))


def pandas_frame() -> Any:
    import pandas

    return pandas.DataFrame(columns())


def polars_frame() -> Any:
    import polars

    # Once a process, for Parquet and for text: not what an export takes.
    import pyarrow.compute  # noqa: F401

    return polars.DataFrame(columns())


def arrow_table() -> Any:
    return polars_frame().to_arrow()


def export(source: Any, format: ExportFormat, path: Path) -> float:
    """Stream into a file, and return when the first byte came."""
    first = 0.0
    chosen = None if hasattr(source, "schema") or hasattr(source, "columns") else NAMES
    with path.open("wb") as file:
        for chunk in StreamingService.export("e", source, format, columns=chosen):
            first = first or time.perf_counter()
            file.write(chunk)
    return first


def by_csv(source: Any, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(NAMES)
        writer.writerows(source)


def by_pyexcelerate(source: Any, path: Path) -> None:
    import pyexcelerate

    workbook = pyexcelerate.Workbook()
    workbook.new_sheet("Sheet1", data=[NAMES, *source])
    workbook.save(str(path))


def by_xlsxwriter(source: Any, path: Path) -> None:
    import xlsxwriter

    options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"}
    with xlsxwriter.Workbook(str(path), options) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, NAMES)
        for number, row in enumerate(source, 1):
            sheet.write_row(number, 0, row)


def by_pyarrow(source: Any, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    made = dict(zip(NAMES, map(list, zip(*source, strict=True)), strict=True))
    pyarrow.parquet.write_table(pyarrow.table(made), path, compression="zstd")


def by_write_csv_of_arrow(table: Any, path: Path) -> None:
    from pyarrow import csv as arrow_csv

    arrow_csv.write_csv(table, path)


def by_to_parquet(frame: Any, path: Path) -> None:
    frame.to_parquet(path, index=False, compression="zstd")


Make = Callable[[], Any]
Write = Callable[[Any, Path], Any]


def _streamed(format: ExportFormat) -> Write:
    return lambda source, path: export(source, format, path)


# The title of a table: where its rows come from, and the ways, the first of which is streamkit's.
TABLES: Final[dict[str, tuple[Make, dict[str, Write]]]] = {
    "csv of rows": (rows, {"streamkit": _streamed("csv"), "csv.writer": by_csv}),
    "xlsx of rows": (
        rows,
        {
            "streamkit": _streamed("xlsx"),
            "pyexcelerate": by_pyexcelerate,
            "xlsxwriter": by_xlsxwriter,
        },
    ),
    "parquet of rows": (rows, {"streamkit": _streamed("parquet"), "pyarrow": by_pyarrow}),
    "arrow of rows": (rows, {"streamkit": _streamed("arrow")}),
    "csv of a pandas frame": (
        pandas_frame,
        {
            "streamkit": _streamed("csv"),
            "to_csv": lambda frame, path: frame.to_csv(path, index=False),
        },
    ),
    "parquet of a pandas frame": (
        pandas_frame,
        {
            "streamkit": _streamed("parquet"),
            "to_parquet": by_to_parquet,
        },
    ),
    "csv of a polars frame": (
        polars_frame,
        {"streamkit": _streamed("csv"), "write_csv": lambda frame, path: frame.write_csv(path)},
    ),
    "ndjson of a polars frame": (
        polars_frame,
        {
            "streamkit": _streamed("ndjson"),
            "write_ndjson": lambda frame, path: frame.write_ndjson(path),
        },
    ),
    "csv of an Arrow table": (
        arrow_table,
        {"streamkit": _streamed("csv"), "pyarrow's write_csv": by_write_csv_of_arrow},
    ),
    "parquet of a polars frame": (
        polars_frame,
        {
            "streamkit": _streamed("parquet"),
            "write_parquet": lambda frame, path: frame.write_parquet(path),
        },
    ),
}


def measure(title: str, way: str) -> Measured:
    """What one way takes, in this process, which does nothing else."""
    make, ways = TABLES[title]
    source = make()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        processor, began = time.process_time(), time.perf_counter()
        first = ways[way](source, path)
        ended = time.perf_counter()
        return Measured(
            ended - began,
            time.process_time() - processor,
            (first or ended) - began,
            (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024,
            path.stat().st_size,
        )


def in_a_process(title: str, way: str) -> Measured:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, title, way).result()


def compare(title: str) -> None:
    ways = TABLES[title][1]
    measured: dict[str, list[Measured]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, each in measured.items():
            each.append(in_a_process(title, way))
    middle = {
        way: Measured(*map(median, zip(*each, strict=True))) for way, each in measured.items()
    }
    ours = middle["streamkit"].processor
    print_table(
        f"{COUNT:,} by {len(NAMES)}, {title}",
        (
            "way",
            "s",
            "s of processor time",
            "streamkit's, this one's = 1",
            "s to the first byte",
            "grown by MiB at most",
            "MB",
        ),
        [
            (
                way,
                f"{each.seconds:.2f}",
                f"{each.processor:.2f}",
                f"{ours / each.processor:.2f}",
                f"{each.first:.3f}",
                f"{each.grown / 1024 / 1024:.0f}",
                f"{each.size / 1e6:.1f}",
            )
            for way, each in middle.items()
        ],
    )


def main() -> None:
    for title in TABLES:
        compare(title)


if __name__ == "__main__":
    main()
