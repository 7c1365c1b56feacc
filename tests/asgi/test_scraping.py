"""The plain ASGI application for Prometheus."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgi_client import Client, scope
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from scraping.suite import Suite

from streamkit_adapters import asgi


class TestASGI(Suite):
    is_async = True

    @contextmanager
    def serve(self) -> Iterator[Any]:
        yield asgi.metrics


def test_the_loop_goes_on_while_metrics_are_collected(registry: CollectorRegistry) -> None:
    """As they may be many, and an application's own may ask a database."""
    goes_on = threading.Event()

    class Slow:
        def collect(self) -> Iterator[Any]:
            yield GaugeMetricFamily("went_on", "Whether the loop did.", float(goes_on.wait(10)))

    async def main() -> None:
        client = Client()
        answer = asyncio.create_task(asgi.metrics(scope(), client.receive, client.send))
        await asyncio.sleep(0)
        goes_on.set()
        await answer
        assert b"went_on 1.0" in client.body

    registry.register(Slow())
    asyncio.run(main())
