"""Runs what is compared side by side, and prints what came of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple, TypeVar

__all__ = ["ROUNDS", "Run", "print_table", "rates"]

Name = TypeVar("Name")

ROUNDS: Final = 5


class Run(NamedTuple):
    """Streams ``elements`` to the end when it is called."""

    elements: int
    call: Callable[[], object]


def rates(runs: Mapping[Name, Run]) -> dict[Name, float]:
    """The elements a second of each, the median of ROUNDS rounds that every one takes part in."""
    measured: dict[Name, list[float]] = {name: [] for name in runs}
    for round_ in range(ROUNDS + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run.call()
            seconds = time.perf_counter() - started
            # The first round warms up.
            if round_:
                measured[name].append(run.elements / seconds)
    return {name: median(each) for name, each in measured.items()}


def print_table(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    print(f"\n### {title}\n")
    for cells in (head, ["---"] * len(head), *lines):
        print("|", " | ".join(cells), "|", flush=True)
