"""What a response of the neutral service says to the frameworks that are handed one.

Each of them in a suite of its own, too: tests/flask, tests/django, tests/starlette.
"""

import re
import sys

import pytest

from streamkit import StreamingService
from streamkit.neutral import FRAMEWORKS


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
