"""What is gevent's own: modules that it patches, before or after an application is loaded."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest
from servers.harness import WAIT

IMPORT = "from streamkit.adapting.connection import client_of"

PATCH = "from gevent import monkey; monkey.patch_all()"

PROGRAM = """
    import errno, socket
    from greenlet import settrace

    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    connection, _ = listener.accept()
    client.sendall(b"a body that nobody reads")
    seen = client_of({"gunicorn.socket": connection, "SERVER_PROTOCOL": "HTTP/1.0"}, live=True)

    switches = []
    settrace(lambda event, greenlets: switches.append(event))
    print(seen.has_left())
    client.close()
    try:
        seen.has_left()
    except ConnectionResetError as error:
        print(errno.errorcode[error.errno])
    settrace(None)
    print(switches)
"""


@pytest.mark.parametrize("order", [(PATCH, IMPORT), (IMPORT, PATCH)], ids=["patched", "preloaded"])
def test_a_look_at_a_client_lets_no_other_greenlet_run(order: tuple[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join((*order, dedent(PROGRAM)))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=WAIT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["False", "ECONNRESET", "[]"]
