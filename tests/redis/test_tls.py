"""A Redis that is spoken to through TLS."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from redis_followers import Follower, publish
from redis_server import free_port, redis_server
from servers.tls import make_certificate

from streamkit.channels.frame import frame_of
from streamkit.channels.redis.engine import Redis


def test_events_through_tls(processes: Callable[[str], Redis], name: str, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    options = ("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    with redis_server(*options, "--tls-ca-cert-file", str(certificate)):
        process = processes(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none")
        follower = Follower(process, name).placed()
        # More than one record of TLS, and several in one.
        large = "x" * 200_000
        for value in (1, large, 2):
            publish(process, name, value)
        asyncio.run(process.apublish(name, frame_of(3)))
        assert follower.data(4) == [1, large, 2, 3]
        with pytest.raises(ConnectionError, match="certificate"):
            publish(processes(f"rediss://127.0.0.1:{port}"), name, 1)
