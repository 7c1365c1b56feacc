"""The connection of a client, as far as a server of WSGI lets an application look at it."""

import _socket
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import ECONNRESET
from functools import partial
from importlib import import_module
from typing import Any

from streamkit.stream.chunks import MAX_STALL

__all__ = ["ClientLeft", "watch"]


class ClientLeft(ConnectionResetError):
    """The client closed the connection while the source was silent.

    An error, and not an end: it may have closed its own side only, and still be reading.
    """


def watch(environ: Mapping[str, Any]) -> Callable[[], bool] | None:
    """What looks whether the client of ``environ`` has left; None where the server does not tell.

    It returns true, or raises ClientLeft. Known are waitress with
    ``--channel-request-lookahead 1``, gunicorn, Werkzeug and uWSGI. Where the socket can be
    reached, the kernel is asked to give up a client that takes nothing for two minutes.
    """
    if "waitress.client_disconnected" in environ:
        disconnected: Callable[[], bool] = environ["waitress.client_disconnected"]
        return disconnected
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is not None:
        _limit_stall(connection)
        if hasattr(socket, "MSG_DONTWAIT"):
            # The socket of gevent would wait, the one in it does not.
            return partial(_check_client, getattr(connection, "_sock", connection))
    elif "uwsgi.version" in environ:
        # The module is there in the server only.
        return partial(_has_left, import_module("uwsgi").connection_fd())
    return None


def _limit_stall(connection: Any) -> None:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    # Also when its window is shut, the kernel then gives a client up that takes nothing. A socket
    # of another family has no such option.
    with suppress(OSError):
        milliseconds = int(MAX_STALL * 1000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _check_client(connection: Any) -> bool:
    try:
        # Not the method of the object, which under TLS takes no flags.
        left = not _socket.socket.recv(connection, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        left = True
    if left:
        raise ClientLeft(ECONNRESET, "the client closed the connection")
    return False


def _has_left(descriptor: int) -> bool:
    connection = socket.socket(fileno=descriptor)
    try:
        return _check_client(connection)
    except ClientLeft:
        # uWSGI would log the error, and end the body all the same.
        return True
    finally:
        # It is the server's, which closes it.
        connection.detach()
