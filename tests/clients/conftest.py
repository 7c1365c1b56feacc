from collections.abc import Iterator, Mapping

import pytest
from clients.readers import PACKAGES
from clients.serving import serving
from node import installed


@pytest.fixture(scope="session", params=["uvicorn-h11", "waitress-lookahead"])
def origin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a server, that of ASGI or that of WSGI."""
    with serving(request.param) as server:
        yield server.origin


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment for a node that has other people's clients."""
    return installed(PACKAGES, tmp_path_factory.mktemp("npm"))
