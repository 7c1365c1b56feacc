"""What a response of the neutral service says to the frameworks that are handed one.

Each of them in a suite of its own, too: tests/flask, tests/django, tests/starlette.
"""

import re
import sys
from importlib import import_module

import pytest

import streamkit
from streamkit import StreamingService
from streamkit.neutral import FRAMEWORKS, OF_ADAPTERS


@pytest.fixture(params=[(), ("flask",), ("django",), ("starlette",), ("fastapi", "starlette")])
def imports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is to be imported where these frameworks, and no others, have been."""
    for name in FRAMEWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in request.param:
        monkeypatch.setitem(sys.modules, name, sys)
    first = " from streamkit_adapters.{} import StreamingService"
    last = ", or from streamkit_adapters.{} import StreamingService"
    names = request.param[:1] or ("wsgi", "asgi")
    return re.escape(first.format(names[0]) + "".join(map(last.format, names[1:]))) + "$"


def test_to_be_called_is_an_error_that_names_the_import(imports: str) -> None:
    response = StreamingService.sse("s", ["a"])
    with pytest.raises(TypeError, match=f"^a StreamResponse cannot be sent: .*{imports}"):
        response({}, lambda *head: None)  # type: ignore[operator]
    assert b"".join(response) == b"data: a\n\n"


def test_what_it_has_not_is_an_error_that_names_the_import(imports: str) -> None:
    response = StreamingService.sse("s", ["a"])
    with pytest.raises(AttributeError, match=f"no attribute 'set_cookie': .*{imports}"):
        response.set_cookie("a", "b")  # type: ignore[attr-defined]
    assert not hasattr(response, "streaming")


def test_to_be_taken_for_pairs_is_an_error_that_names_the_import(imports: str) -> None:
    response = StreamingService.sse("s", ["a"])
    with pytest.raises(TypeError, match=f"^a StreamResponse cannot be sent as JSON: .*{imports}"):
        dict(response)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        vars(response)
    assert b"".join(response) == b"data: a\n\n"


def test_whoever_only_asks_gets_an_answer() -> None:
    response = StreamingService.sse("s", ["a"])
    assert "StreamResponse" in repr(response)
    assert getattr(response, "status_code", None) is None
    response.close()


@pytest.mark.parametrize("name", ["StreamkitMiddleware", "StreamingResponse"])
def test_what_each_adapter_has_is_told_where_it_is(name: str, imports: str) -> None:
    if "wsgi" in imports:
        imports = f"{re.escape(f'from streamkit_adapters.flask import {name}, or from ')}.*$"
    with pytest.raises(ImportError, match=imports.replace("StreamingService", name)):
        exec(f"from streamkit import {name}")


@pytest.mark.parametrize("name", OF_ADAPTERS)
def test_the_adapters_have_what_is_said_of_them(name: str) -> None:
    for adapter in OF_ADAPTERS[name]:
        pytest.importorskip(adapter if adapter in FRAMEWORKS else "streamkit")
        assert hasattr(import_module(f"streamkit_adapters.{adapter}"), name)


def test_what_only_some_adapters_have_is_not_looked_for_in_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in FRAMEWORKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "flask", sys)
    with pytest.raises(ImportError, match=r"fastapi import EventStream, or .*starlette import"):
        exec("from streamkit import EventStream")


def test_a_name_that_nobody_has_is_an_error_as_of_any_module() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Streams' from 'streamkit'"):
        exec("from streamkit import Streams")
    assert not hasattr(streamkit, "streams")
