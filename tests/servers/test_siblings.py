"""Whether the log says that there are other workers, by what their servers are started with."""

from pathlib import Path

import pytest
from workers.running import Running

SEVERAL = {
    "gunicorn-gthread": "gunicorn -w 2 -k gthread --threads 4 -b 127.0.0.1:{port} {wsgi}",
    "gunicorn-uvicorn": (
        "gunicorn -w 2 -k uvicorn.workers.UvicornWorker -b 127.0.0.1:{port} {asgi}"
    ),
    "uvicorn": "uvicorn --workers 2 --port {port} {asgi}",
    "hypercorn": "hypercorn -w 2 -b 127.0.0.1:{port} {asgi}",
}

HERE = Path(__file__).parent

ONE = {
    "gunicorn-gthread": "gunicorn -w 1 -k gthread --threads 4 -b 127.0.0.1:{port} {wsgi}",
    "uvicorn": "uvicorn --port {port} {asgi}",
    "uvicorn-reload": f"uvicorn --reload --reload-dir {HERE} --port {{port}} {{asgi}}",
    "hypercorn": "hypercorn -b 127.0.0.1:{port} {asgi}",
    "granian": "granian --interface asgi --port {port} {asgi}",
}


@pytest.mark.parametrize("command", SEVERAL.values(), ids=[*SEVERAL])
def test_one_of_several_workers_says_so(command: str) -> None:
    with Running(command, {}) as server:
        server.get("/publish", channel="a", text="x")
        assert "one of several workers" in server.output()


@pytest.mark.parametrize("command", ONE.values(), ids=[*ONE])
def test_a_single_worker_does_not(command: str) -> None:
    with Running(command, {}) as server:
        server.get("/publish", channel="a", text="x")
        assert "one of several workers" not in server.output()
