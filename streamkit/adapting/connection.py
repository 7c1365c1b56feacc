"""The connection of a client, as far as a server of WSGI lets an application look at it."""

import _socket
import select
import socket
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from errno import ECONNRESET
from importlib import import_module
from typing import Any, Final

from streamkit.adapting.resetting import reset
from streamkit.log import say_once
from streamkit.request import Client
from streamkit.stream.chunks import max_stall

__all__ = ["ClientLeft", "client_of"]

# On Linux. What patches a module may take poll away, and leave the constant.
_POLLS: Final = hasattr(select, "POLLRDHUP") and hasattr(select, "poll")
_CAN_LOOK: Final = _POLLS or hasattr(socket, "MSG_DONTWAIT")


ONE_AT_A_TIME: Final = (
    "a live stream occupies this worker, which answers nothing else and may be killed for "
    "it: take workers with threads (gunicorn --worker-class gthread --threads 64)"
)


class ClientLeft(ConnectionResetError):
    """The client closed the connection while the source was silent.

    An error, and not an end: it may have closed its own side only, and still be reading.
    """


def client_of(environ: Mapping[str, Any], live: bool) -> Client | None:
    """The client of ``environ``, as far as the server lets it be seen; None where it does not.

    Known are waitress with ``--channel-request-lookahead 1``, which tells only whether it has left,
    and gunicorn, Werkzeug and uWSGI, which let the socket be reached. Of the first two of these,
    the kernel is asked to give up a client that takes nothing for two minutes, or for an hour if
    the stream is not ``live``.
    """
    if "waitress.client_disconnected" in environ:
        return _ToldClient(environ["waitress.client_disconnected"])
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is not None:
        if live and not environ.get("wsgi.multithread", True):
            say_once(ONE_AT_A_TIME)
        _limit_stall(connection, max_stall(live))
        # Of gunicorn, other bodies than those of HTTP/1.0 have an end of their own, and a
        # connection of HTTP/2 has other streams. Werkzeug's debugger may write an end to any.
        is_to_be_reset = (
            "werkzeug.socket" in environ or environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
        )
        return _SocketClient(connection, is_to_be_reset=is_to_be_reset)
    if "uwsgi.version" in environ:
        # The module is there in the server only.
        return _DescriptorClient(import_module("uwsgi").connection_fd)
    return None


class _ToldClient:
    """One of whom the server tells whether it has left, and nothing else."""

    def __init__(self, has_left: Callable[[], bool]) -> None:
        self.has_left = has_left

    def reset(self) -> None:
        pass


class _SocketClient:
    """One whose socket the server hands over."""

    def __init__(self, connection: Any, *, is_to_be_reset: bool) -> None:
        self._connection = connection
        self._is_to_be_reset = is_to_be_reset

    def has_left(self) -> bool:
        """False. Raises ClientLeft if it has, for the server to break the response off."""
        if _CAN_LOOK and _is_closed(self._connection):
            raise ClientLeft(ECONNRESET, "the client closed the connection")
        return False

    def reset(self) -> None:
        if self._is_to_be_reset:
            reset(self._connection)


class _DescriptorClient:
    """One of whose connection the server, uWSGI, tells the descriptor to who serves it."""

    def __init__(self, descriptor: Callable[[], int]) -> None:
        self._descriptor = descriptor

    def has_left(self) -> bool:
        # uWSGI would log an error, and end the body all the same.
        with self._connection() as connection:
            return _is_closed(connection)

    def reset(self) -> None:
        with self._connection() as connection:
            reset(connection)

    @contextmanager
    def _connection(self) -> Generator[socket.socket]:
        connection = socket.socket(fileno=self._descriptor())
        try:
            yield connection
        finally:
            # It is the server's, which closes it.
            connection.detach()


def _limit_stall(connection: Any, seconds: float) -> None:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    # Also when its window is shut, the kernel then gives a client up that takes nothing. A socket
    # of another family has no such option.
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


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
