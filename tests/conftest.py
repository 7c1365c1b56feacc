import os
from collections.abc import Iterator

import pytest
from combinations import COMBINATIONS, Combination
from hypothesis import settings
from prometheus_client import CollectorRegistry

import streamkit

pytest.register_assert_rewrite("gzipped")

# One environment of tox looks for surprises. The others run the same tests, on fewer examples.
settings.register_profile("environment", max_examples=int(os.environ.get("TEST_EXAMPLES", "100")))
settings.load_profile("environment")


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    """A registry of its own for the streams of one test."""
    registry = CollectorRegistry()
    streamkit.metrics.use(registry)
    yield registry
    streamkit.metrics.use(None)


@pytest.fixture(params=COMBINATIONS)
def combination(request: pytest.FixtureRequest) -> Iterator[Combination]:
    source, reader_class = request.param
    reader = reader_class()
    yield Combination(source, reader)
    reader.stop()
