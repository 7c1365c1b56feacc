"""What needs a library that is not installed says how to install it."""

import importlib
import sys
from typing import Any

import pytest

from streamkit import StreamingService


@pytest.mark.parametrize("framework", ["django", "fastapi", "flask", "starlette"])
def test_a_missing_framework_is_an_error_that_names_the_command(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [*sys.modules]:
        if module.split(".")[0] == framework or module == f"streamkit_adapters.{framework}":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ImportError, match=rf"pip install 'streamkit-http\[{framework}\]'"):
        importlib.import_module(f"streamkit_adapters.{framework}")


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_format_without_its_library_is_an_error_that_names_the_command(
    format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=rf"'{format}' needs .* 'streamkit-http\[arrow\]'"):
        StreamingService.export("e", [], format)
