"""The blocks of code on the pages that show calls and no programs: each of them runs."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pages import DOCS, blocks
from prometheus_client import CollectorRegistry

import streamkit
from streamkit import StreamingService, channels

ELSEWHERE = {
    "adapting.md": "tests/docs/test_adapting.py",
    "channels.md": "tests/docs/test_channels.py",
    "django.md": "tests/django/test_database.py",
    "flask.md": "tests/docs/test_frameworks.py",
    "llm.md": "tests/clients/test_llm.py",
    "plain.md": "tests/docs/test_frameworks.py",
    "recipes.md": "tests/docs/test_recipes.py",
    "resumable.md": "tests/docs/test_resumable.py",
    "servers.md": "tests/docs/test_servers.py",
    "starlette.md": "tests/docs/test_frameworks.py",
    "testing.md": "tests/docs/test_testing.py",
}


class Body(list[bytes]):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        return iter(self)

    def close(self) -> None:
        pass


class S3:
    """An object of five bytes."""

    def get_object(self, *, Range: str, **where: str) -> dict[str, Any]:
        start, stop = re.findall(r"\d+", Range)
        return {"Body": Body([b"hello"[int(start) : int(stop) + 1]])}


class Order:
    number = id = 7

    class invoice:
        path = __file__

    def get_status_display(self) -> str:
        return "Open"


class Orders(list[Order]):
    def iterator(self) -> Iterator[Order]:
        return iter(self)


def names() -> dict[str, Any]:
    """What the pages take for granted."""
    return {
        "__name__": "page",
        "streamkit": streamkit,
        "StreamingService": StreamingService,
        "Iterator": Iterator,
        "closing": __import__("contextlib").closing,
        "rows": [{"id": 1, "total": "=1"}],
        "orders": Orders([Order()]),
        "source": b"hello",
        "s3": S3(),
        "key": "report.pdf",
        "head": {"ContentLength": 5, "ETag": '"a"'},
        "registry": CollectorRegistry(),
        "prompt": "Why?",
        "tokens": lambda prompt: iter(prompt),
    }


def take(page: str) -> list[Any]:
    return [
        pytest.param(page, code, id=f"{page}-{number}")
        for number, (_, code) in enumerate(blocks(page))
    ]


RUN = [*take("downloads.md"), *take("metrics.md"), *take("events.md"), *take("scale.md")]

# Whose rows are of a database, or of Django's: tests/exports and tests/django have these.
READ = [*take("exports.md"), *take("django.md")]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    channels.use(None)
    streamkit.metrics.use(None)


def bodies(code: str) -> Iterator[bytes]:
    """What the calls in a block stream: each expression that it has as a statement."""
    found: list[Any] = []
    tree = ast.parse(code)
    for index, node in enumerate(tree.body):
        if isinstance(node, ast.Return):
            assert node.value is not None
            node = tree.body[index] = ast.copy_location(ast.Expr(node.value), node)
        if isinstance(node, ast.Expr):
            call = ast.Call(ast.Name("_found", ast.Load()), [node.value], [])
            node.value = ast.copy_location(ast.fix_missing_locations(call), node.value)
    exec(
        compile(ast.fix_missing_locations(tree), "page", "exec"), names() | {"_found": found.append}
    )
    for each in found:
        if isinstance(each, streamkit.StreamResponse):
            yield b"".join(each)


@pytest.mark.parametrize(("page", "code"), RUN)
def test_a_block_runs(page: str, code: str) -> None:
    assert all(bodies(code))


@pytest.mark.parametrize(("page", "code"), READ)
def test_a_block_of_a_database_is_python(page: str, code: str) -> None:
    compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_every_page_with_code_is_in_a_test() -> None:
    root = DOCS.parent
    here = {param.values[0] for param in (*RUN, *READ)}
    with_code = {page.name for page in DOCS.glob("*.md") if blocks(page.name)}
    assert with_code == here | ELSEWHERE.keys()
    assert all((root / test).exists() for test in ELSEWHERE.values())
