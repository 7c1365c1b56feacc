"""The examples of the test kit's page."""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text()


def of_example(example: str) -> Iterator[Any]:
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(example, "docs/testing.md", "exec"), names)
    for name, member in names.items():
        if name.startswith("test_"):
            yield pytest.param(member, id=name)


EXAMPLES = [
    test
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.S)
    for test in of_example(example)
]


@pytest.mark.parametrize("test", EXAMPLES)
def test_an_example_of_the_page_on_testing_runs(test: Callable[[], Any]) -> None:
    if inspect.iscoroutinefunction(test):
        asyncio.run(test())
    else:
        test()


def test_the_page_on_testing_has_seven_examples() -> None:
    assert len(EXAMPLES) == 7
