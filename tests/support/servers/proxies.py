"""nginx, Caddy and HAProxy as they come, each in front of another server."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from servers.client import Client, connect
from servers.harness import HOST, WAIT, until

__all__ = ["Proxy", "caddy", "haproxy", "nginx"]

NGINX = """
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
            proxy_pass http://{origin};
            {settings}
        }}
    }}
}}
"""
"""Its temporary files are elsewhere than as it comes, where only root may write."""

CADDY = """
{{
    admin off
    auto_https off
}}
http://{host}:{port} {{
    {settings}
    reverse_proxy {origin}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen app
    bind {host}:{port}
    server app {origin}
    {settings}
"""


class Proxy:
    def __init__(self, port: int) -> None:
        self._port = port

    def client(
        self,
        *,
        receive_buffer: int | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Client:
        return Client(connect((HOST, self._port), WAIT, receive_buffer), headers)


@contextmanager
def nginx(origin: str, settings: str = "") -> Iterator[Proxy]:
    """Run it before the server at ``origin``, with ``settings`` beside ``proxy_pass``."""
    user = "user root;" if os.geteuid() == 0 else ""
    with _running(
        ["nginx", "-c", "{config}", "-e", "{folder}/error.log"],
        NGINX,
        origin=origin.removeprefix("http://"),
        settings=settings,
        user=user,
    ) as proxy:
        yield proxy


@contextmanager
def caddy(origin: str, settings: str = "") -> Iterator[Proxy]:
    """The same, with ``settings`` beside ``reverse_proxy``."""
    command = ["caddy", "run", "--config", "{config}", "--adapter", "caddyfile"]
    with _running(command, CADDY, origin=origin, settings=settings) as proxy:
        yield proxy


@contextmanager
def haproxy(origin: str, settings: str = "") -> Iterator[Proxy]:
    """The same, with ``settings`` beside ``server``."""
    with _running(
        ["haproxy", "-db", "-f", "{config}"],
        HAPROXY,
        origin=origin.removeprefix("http://"),
        settings=settings,
    ) as proxy:
        yield proxy


@contextmanager
def _running(command: list[str], config: str, **values: str) -> Iterator[Proxy]:
    name, *arguments = command
    # Debian has some where only root looks.
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise FileNotFoundError(f"{name} is needed: apt-get install {name}")
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    # Not below pytest's directory, which is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    path = folder / "config"
    path.write_text(config.format(folder=folder, host=HOST, port=port, **values))
    process = subprocess.Popen(
        [program, *(each.format(config=path, folder=folder) for each in arguments)],
        # Caddy keeps what it remembers there.
        env={**os.environ, "HOME": f"{folder}"},
        stderr=subprocess.DEVNULL,
    )
    found = Proxy(port)
    try:
        until(lambda: _listens(found, process))
        yield found
    finally:
        process.terminate()
        process.wait(WAIT)
        shutil.rmtree(folder)


def _listens(found: Proxy, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the proxy ended"
    try:
        found.client().close()
    except ConnectionRefusedError:
        return False
    return True
