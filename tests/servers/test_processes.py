"""Processes that fork, and processes that end while a stream is open."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest
from servers.harness import WAIT

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def run(program: str) -> str:
    """What the program prints. Raises if it does not end on its own, or complains."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=WAIT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@FORK
def test_a_child_streams_async_sources_as_its_parent_does() -> None:
    """Which has used its background loop before, and has a stream open there."""
    said = run(
        """
        import asyncio, os, warnings
        from wsgiref.util import setup_testing_defaults
        from streamkit_adapters.wsgi import StreamingService

        # About forking while there are threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)

        async def rows(count):
            for n in range(count):
                await asyncio.sleep(0)
                yield n

        def body(count):
            environ = {}
            setup_testing_defaults(environ)
            response = StreamingService.export("rows", rows(count), "ndjson")
            return iter(response(environ, lambda status, headers: None))

        def say(who, *what):
            print(who, *what, flush=True)

        opened = body(100_000)
        begun = next(opened)
        say("parent", b"".join(body(3)))
        child = os.fork()
        if not child:
            say("child", b"".join(body(3)))
            grandchild = os.fork()
            if not grandchild:
                say("grandchild", b"".join(body(3)))
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        say("parent", b"".join(body(3)))
        say("rest", (begun + b"".join(opened)).count(b"\\n"))
        """
    )
    rows = rb"b'0\n1\n2\n'".decode()
    assert said.splitlines() == [
        f"parent {rows}",
        f"child {rows}",
        f"grandchild {rows}",
        f"parent {rows}",
        "rest 100000",
    ]


SOURCES = """
        import asyncio, threading

        def sync_source():
            yield "first"
            threading.Event().wait()

        async def async_source():
            yield "first"
            threading.Event().wait()
"""

UNDER_WSGI = """
        from wsgiref.util import setup_testing_defaults
        from streamkit_adapters.wsgi import StreamingService

        environ = {{}}
        setup_testing_defaults(environ)
        response = StreamingService.sse("stuck", {source}())
        body = iter(response(environ, lambda status, headers: None))
        print(next(body))
"""

UNDER_ASGI = """
        from streamkit_adapters.asgi import StreamingService

        async def main():
            first = asyncio.Event()

            async def send(event):
                if event.get("body"):
                    print(event["body"])
                    first.set()

            scope = {{"type": "http", "method": "GET", "headers": []}}
            response = StreamingService.sse("stuck", {source}())
            serving = asyncio.create_task(response(scope, asyncio.Event().wait, send))
            await first.wait()

        asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("source", "consumer"),
    [
        pytest.param("sync_source", UNDER_WSGI, id="sync-wsgi"),
        pytest.param("sync_source", UNDER_ASGI, id="sync-asgi"),
        pytest.param("async_source", UNDER_WSGI, id="async-wsgi"),
    ],
)
def test_a_source_that_blocks_for_ever_does_not_keep_its_process(
    source: str, consumer: str
) -> None:
    assert run(SOURCES + consumer.format(source=source)) == "b'data: first\\n\\n'\n"
