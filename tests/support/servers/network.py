"""Networks of a test's own."""

import ctypes
import shutil
import subprocess
import threading

import pytest

__all__ = ["isolate", "run"]

CLONE_NEWNET = 0x40000000


def isolate() -> int:
    """Let this thread, and what it starts, have a network of its own; return the thread's id."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not shutil.which("ip") or not hasattr(libc, "unshare") or libc.unshare(CLONE_NEWNET):
        pytest.skip("needs Linux, the right to make network namespaces, and iproute2")
    run("ip link set lo up")
    return threading.get_native_id()


def run(command: str) -> None:
    subprocess.run(command.split(), check=True)
