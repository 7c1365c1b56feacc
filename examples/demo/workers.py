"""Several processes that serve the same: each that is killed has a successor."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""The folder where Prometheus's client adds up what the processes have counted."""


class Workers:
    """Runs ``count`` processes of ``arguments``, and hands them sockets that listen."""

    def __init__(self, count: int, arguments: Sequence[str], sockets: list[socket.socket]) -> None:
        self._count = count
        self._command = [sys.executable, *arguments]
        self._sockets = [each.fileno() for each in sockets]
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._is_stopping = False

    def run(self) -> int:
        """Until a signal ends them all; the exit code is that of a process that gave up."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        failed = 0
        with TemporaryDirectory() as metrics:
            for _ in range(self._count):
                self._start(metrics)
            while self._running:
                pid, status = os.wait()
                worker = self._running.pop(pid)
                code = worker.returncode = os.waitstatus_to_exitcode(status)
                assert worker.stdin
                worker.stdin.close()
                mark_process_dead(pid, metrics)  # type: ignore[no-untyped-call]
                if self._is_stopping:
                    continue
                if code < 0:
                    print(f"Process {pid} was killed; another takes its place.", flush=True)
                    self._start(metrics)
                else:
                    # It has said itself why: another would do the same.
                    failed = code
                    self._stop()
        return failed

    def _start(self, metrics: str) -> None:
        # The other end of its input closes when this process is no more, and it ends as well.
        worker = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            pass_fds=self._sockets,
            env={**os.environ, METRICS: metrics},
            # Ctrl-C is for this process, which tells the others.
            start_new_session=True,
        )
        self._running[worker.pid] = worker
        if self._is_stopping:
            worker.terminate()

    def _stop(self, *_: Any) -> None:
        self._is_stopping = True
        for worker in self._running.values():
            worker.terminate()
