"""Exports over real servers, against the frameworks' own responses and against the limits."""

from functools import partial
from typing import Final
from urllib.parse import quote

from .encodings import USUAL, by_hand
from .frameworks import BY_HAND, READY, STREAMKIT, django_app, flask_app, starlette_app
from .measure import Run, print_table, rates
from .server import (
    UVICORN,
    WAITRESS,
    Server,
    largest,
    read_all,
    run_uvicorn,
    run_waitress,
    serving,
)

__all__ = ["main"]

COUNT: Final = 500_000

USUAL_COUNT: Final = 50_000
"""Rows that a run of the usual ways streams: rates are compared, not totals."""

MARK: Final = b"."
"""What there is one of in each row, in every format."""

LOOP: Final = "loop by hand, no server"

SERVERS: Final = {
    f"Starlette on {UVICORN}": (run_uvicorn, starlette_app),
    f"Flask on {WAITRESS}": (run_waitress, flask_app),
    f"Django on {WAITRESS}": (run_waitress, django_app),
}


def loop(format: str) -> None:
    for _ in by_hand(format, COUNT):
        pass


def compare(title: str, format: str, server: Server) -> None:
    runs = {LOOP: Run(COUNT, partial(loop, format))}
    memory = {}
    for way in (READY, BY_HAND, STREAMKIT, *USUAL[format]):
        count = USUAL_COUNT if way in USUAL[format] else COUNT
        path = quote(f"/{way}/{format}/")
        memory[way] = largest(server, f"{path}{COUNT}", COUNT, MARK)
        runs[way] = Run(count, partial(read_all, server, f"{path}{count}", count, MARK))
    measured = rates(runs)
    print_table(
        f"{COUNT:,} rows of {format} by {title}",
        ("way", "rows/s", "streamkit's rate, this one's = 1", "server's memory, MiB at most"),
        [
            (
                way,
                f"{rate:,.0f}",
                f"{measured[STREAMKIT] / rate:.2f}",
                f"{memory[way] / 1024 / 1024:.0f}" if way in memory else "",
            )
            for way, rate in measured.items()
        ],
    )


def main() -> None:
    for title, (run, app) in SERVERS.items():
        with serving(run, app) as server:
            for format in USUAL:
                compare(title, format, server)


if __name__ == "__main__":
    main()
