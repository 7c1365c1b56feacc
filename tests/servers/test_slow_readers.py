"""Slow clients of fast sources: each is sent the present, and costs no more as time goes by."""

import pytest
from servers.slow_readers import MIB, read_slowly, soaked


@pytest.mark.parametrize(("server", "source"), [("cheroot", "sync"), ("uvicorn-h11", "async")])
def test_what_slow_clients_miss_is_counted(server: str, source: str) -> None:
    """Longer, of more clients, and that fast ones miss nothing beside them, in ``tests/soak``."""
    with soaked(server) as running:
        found = read_slowly(running, source, slow=15, fast=2, seconds=2)
    print(server, source, found)
    assert found.dropped == found.counted > 0
    assert found.received + found.dropped == found.made
    assert found.growth < 16 * MIB
