"""The blocks of code of a page of docs/, as a reader copies them: one after the other."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["DOCS", "blocks", "run"]

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page: str) -> list[tuple[str, str]]:
    """The blocks of Python, each with the title of its section."""
    found, title = [], ""
    for heading, code in re.findall(
        r"^#+ ([^\n]+)$|^```python\n(.*?)^```", (DOCS / page).read_text(), re.M | re.S
    ):
        title = heading or title
        if code:
            found.append((title, code))
    return found


def run(page: str, titles: Iterable[str] | None = None) -> dict[str, Any]:
    """What the blocks define, or those of the sections of these titles."""
    names: dict[str, Any] = {"__name__": page}
    for title, code in blocks(page):
        if titles is None or title in titles:
            exec(compile(code, f"docs/{page}", "exec"), names)
    return names
