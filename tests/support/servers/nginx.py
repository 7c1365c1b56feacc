"""nginx as it comes, in front of another server."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.client import Client, connect
from servers.harness import HOST, WAIT, until

__all__ = ["Nginx", "nginx"]

CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass {origin};
            {settings}
        }}
    }}
}}
"""
"""Its temporary files are elsewhere than as it comes, where only root may write."""


class Nginx:
    def __init__(self, port: int) -> None:
        self._port = port

    def client(self, *, receive_buffer: int | None = None) -> Client:
        return Client(connect((HOST, self._port), WAIT, receive_buffer), {})


@contextmanager
def nginx(origin: str, settings: str = "") -> Iterator[Nginx]:
    """Run it before the server at ``origin``, with ``settings`` beside ``proxy_pass``."""
    # Debian has it where only root looks.
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise FileNotFoundError("nginx is needed: apt-get install nginx")
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    # Not below pytest's directory, which is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="nginx-"))
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        CONFIG.format(
            folder=folder, host=HOST, port=port, origin=origin, settings=settings, user=user
        )
    )
    process = subprocess.Popen([program, "-c", str(config), "-e", f"{folder}/error.log"])
    found = Nginx(port)
    try:
        until(lambda: _listens(found, process))
        yield found
    finally:
        process.terminate()
        process.wait(WAIT)
        shutil.rmtree(folder)


def _listens(found: Nginx, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "nginx ended"
    try:
        found.client().close()
    except ConnectionRefusedError:
        return False
    return True
