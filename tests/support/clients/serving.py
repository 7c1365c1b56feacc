"""Servers of ``servers.apps.events``."""

from dataclasses import replace

from servers.ending import Ending
from servers.harness import ROWS

__all__ = ["serving"]


def serving(server: str, **environment: str) -> Ending:
    (row,) = (row for row in ROWS if row.server == server)
    return Ending(replace(row, adapter="events"), environment=environment)
