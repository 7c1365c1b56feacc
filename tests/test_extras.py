"""What needs a library that is not installed says how to install it."""

import importlib
import os
import subprocess
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


def test_channels_on_redis_without_its_library_are_an_error_where_they_are_needed() -> None:
    """And not at the import, where it stands in the environment."""
    script = (
        "import sys; sys.modules['redis'] = None; import streamkit; print('imported', flush=True); "
        "streamkit.Channel('a').publish(1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "STREAMKIT_CHANNELS": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "imported\n"
    assert "pip install 'streamkit-http[redis]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_format_without_its_library_is_an_error_that_names_the_command(
    format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=rf"'{format}' needs .* 'streamkit-http\[arrow\]'"):
        StreamingService.export("e", [], format)


def test_an_import_brings_what_is_depended_on_and_nothing_else() -> None:
    script = "import sys, streamkit; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    own = {"streamkit", "msgspec", "prometheus_client", "werkzeug"}
    # What these depend on, and codings that are used where they are installed.
    others = {"markupsafe", "typing_extensions", "brotli", "_brotli", "backports"}
    # Some installations begin with modules of their own.
    plain = [sys.executable, "-c", script.replace(", streamkit", "")]
    before = subprocess.run(plain, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert set(loaded) - sys.stdlib_module_names - set(before) - others == own
