"""The connection of a client, as far as a server of WSGI lets an application look at it."""

import _socket
import select
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import ECONNRESET
from functools import partial
from importlib import import_module
from typing import Any, Final

from streamkit.stream.chunks import max_stall

__all__ = ["ClientLeft", "watch"]

# On Linux. What patches a module may take poll away, and leave the constant.
_POLLS: Final = hasattr(select, "POLLRDHUP") and hasattr(select, "poll")


class ClientLeft(ConnectionResetError):
    """The client closed the connection while the source was silent.

    An error, and not an end: it may have closed its own side only, and still be reading.
    """


def watch(environ: Mapping[str, Any], live: bool) -> Callable[[], bool] | None:
    """What looks whether the client of ``environ`` has left; None where the server does not tell.

    It returns true, or raises ClientLeft. Known are waitress with
    ``--channel-request-lookahead 1``, gunicorn, Werkzeug and uWSGI. Where the socket can be
    reached, the kernel is asked to give up a client that takes nothing for two minutes, or for an
    hour if the stream is not ``live``.
    """
    if "waitress.client_disconnected" in environ:
        disconnected: Callable[[], bool] = environ["waitress.client_disconnected"]
        return disconnected
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is not None:
        _limit_stall(connection, max_stall(live))
        if _POLLS or hasattr(socket, "MSG_DONTWAIT"):
            return partial(_check_client, connection)
    elif "uwsgi.version" in environ:
        # The module is there in the server only.
        return partial(_has_left, import_module("uwsgi").connection_fd())
    return None


def _limit_stall(connection: Any, seconds: float) -> None:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    # Also when its window is shut, the kernel then gives a client up that takes nothing. A socket
    # of another family has no such option.
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _check_client(connection: Any) -> bool:
    if _is_closed(connection):
        raise ClientLeft(ECONNRESET, "the client closed the connection")
    return False


def _has_left(descriptor: int) -> bool:
    # uWSGI would log an error, and end the body all the same.
    connection = socket.socket(fileno=descriptor)
    try:
        return _is_closed(connection)
    finally:
        # It is the server's, which closes it.
        connection.detach()


def _is_closed(connection: Any) -> bool:
    """Whether the other side closed it, or the server has given it up meanwhile."""
    try:
        return _hangs_up(connection) if _POLLS else _has_ended(connection)
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True


def _hangs_up(connection: Any) -> bool:
    """Whether a FIN or RST came, even behind bytes that nobody reads.

    These are the goodbye of TLS, the body of a request, or the next request.
    """
    # The poll of gevent would let others run. It may have patched the module since the import.
    monkey = sys.modules.get("gevent.monkey")
    poll = monkey.get_original("select", "poll")() if monkey else select.poll()
    poll.register(connection.fileno(), select.POLLRDHUP)
    # Errors need not be asked for.
    if not poll.poll(0):
        return False
    # It is told once, and here: Werkzeug, which reads on before it closes the body, would fail.
    connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return True


def _has_ended(connection: Any) -> bool:
    """Whether nothing more will come: not to be seen behind bytes that nobody reads."""
    # The socket of gevent would wait, the one in it does not. Not the method of the object, which
    # under TLS takes no flags.
    plain = getattr(connection, "_sock", connection)
    return not _socket.socket.recv(plain, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
