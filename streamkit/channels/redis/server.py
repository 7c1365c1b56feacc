"""A server of Redis: connections to it, and what is asked of it on threads."""

from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterError, NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from streamkit.channels.redis.log import SCRIPT, SHA

__all__ = [
    "PATIENCE",
    "Command",
    "Server",
    "away",
    "exchange",
    "known_script",
    "run_scripts",
    "scripts",
    "unscripted",
    "what_is_wrong",
]

PATIENCE: Final = 0.9
"""Seconds that a connection may take to be made, and an answer to come, while a caller waits.

Both together stay within two seconds: a view that publishes is to fail and not to hang.
"""

MAX_IDLE: Final = 32
"""Connections that are kept for who publishes next. A judgement: of more threads that publish at
the same time, the others make one for themselves alone."""

Command = Sequence[bytes]


_scripts: Final = {SHA: SCRIPT}


def known_script(source: bytes) -> bytes:
    """The digest of a script, which is run by that from now on."""
    digest = sha1(source).hexdigest().encode()
    _scripts[digest] = source
    return digest


def scripts(calls: Iterable[Sequence[bytes]], digest: bytes = SHA) -> list[Command]:
    """The commands that run a script, that of channels, with these arguments each."""
    return [(b"EVALSHA", digest, *arguments) for arguments in calls]


def unscripted(commands: Sequence[Command], replies: list[Any]) -> list[tuple[int, Command]]:
    """Those that a server does not know the script of, each with its place: nothing was done.

    So it is once, after a server has started: this way it is told the script.
    """
    return [
        (place, (b"EVAL", _scripts[commands[place][1]], *commands[place][2:]))
        for place, reply in enumerate(replies)
        if isinstance(reply, NoScriptError)
    ]


def away(error: BaseException) -> ConnectionError:
    """Python's own error for any of redis-py's, which are others of the same names."""
    return ConnectionError(f"Redis did not answer, or did not take it: {what_is_wrong(error)}")


def what_is_wrong(error: BaseException) -> str:
    """In words, without a stop at the end."""
    said = str(error).rstrip(". ") or type(error).__name__
    if isinstance(error, AskError | ClusterError) or said.startswith("MOVED "):
        # Newer versions of redis-py take the first word of the answer away.
        return f"it is one of a cluster, which is not supported ({said})"
    return said


class Server:
    """One Redis, by its URL. Any thread may ask it; nothing is connected before."""

    def __init__(self, url: str) -> None:
        if url.startswith("valkey"):
            url = "redis" + url.removeprefix("valkey")
        self.url: Final = url
        try:
            options = _options(url, redis.ConnectionPool, redis.asyncio.ConnectionPool)
            self._class, self._async_class, self._options = options
            # What they do not take is better known now than at the first event.
            self.connection(PATIENCE)
            self.async_connection()
        except (TypeError, ValueError, RedisError) as error:
            raise ValueError(f"url must be one of a Redis: {error}") from None
        self.database = int(self._options.get("db") or 0)
        self._idle: deque[Any] = deque()

    def connection(self, patience: float) -> Any:
        """A connection, yet to be made, that waits for so many seconds for each answer."""
        return self._class(
            **self._options,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
        )

    def async_connection(self) -> Any:
        """The same for a loop, without any limit of its own."""
        return self._async_class(
            **self._options,
            socket_timeout=None,
            socket_connect_timeout=PATIENCE,
            retry=AsyncRetry(NoBackoff(), 0),
        )

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to some commands, which go out in one piece. None is ever sent twice.

        Raises ConnectionError, within two seconds, if there is no answer, or one is an error:
        what was asked may be done all the same.
        """
        try:
            connection = self._ready()
            try:
                replies = run_scripts(connection, commands)
            except BaseException:
                connection.disconnect()
                raise
            if len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
            else:
                connection.disconnect()
            for reply in replies:
                if isinstance(reply, ResponseError):
                    raise reply
        except (RedisError, OSError, ValueError) as error:
            # The last is what a name that can be none of a host raises. Not any: what a handler of
            # a signal raises here, such as Celery's limit of time, is none of Redis's.
            raise away(error) from error
        return replies

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().disconnect()

    def _ready(self) -> Any:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            try:
                # What is to be read by itself is the end, or tells of it.
                if not connection.can_read(0):
                    return connection
            except (RedisError, OSError):
                pass
            connection.disconnect()
        connection = self.connection(PATIENCE)
        connection.connect()
        return connection


def exchange(connection: Any, commands: Sequence[Command]) -> list[Any]:
    """The replies to some commands, errors of the server's among them."""
    connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    return [reply_on(connection) for _ in commands]


def run_scripts(connection: Any, commands: Sequence[Command]) -> list[Any]:
    """The same for commands of ``scripts``, which the server may not know yet."""
    replies = exchange(connection, commands)
    unknown = unscripted(commands, replies)
    if unknown:
        again = exchange(connection, [command for _, command in unknown])
        for (place, _), reply in zip(unknown, again, strict=True):
            replies[place] = reply
    return replies


def reply_on(connection: Any) -> Any:
    """The next reply, or the error that the server sends in its place."""
    try:
        return connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error


def _options(url: str, pool: Any, async_pool: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The classes of connections, and what both are made with."""
    # RESP 2: messages and replies look the same in all versions of the server and of redis-py.
    pools = [each.from_url(url, protocol=2) for each in (pool, async_pool)]
    options = dict(pools[0].connection_kwargs)
    database = options.get("db") or 0
    if not isinstance(database, int) or database < 0:
        raise ValueError(f"the database must be a number, got {database!r}")
    path = url.partition("://")[2].partition("?")[0].partition("/")[2]
    if not url.startswith("unix:") and path.strip("/") and not path.strip("/").isdigit():
        raise ValueError(f"the database must be a number, got {path!r}")
    # Its own ways to try again would publish twice, and its own limits end a wait for messages.
    options |= {
        "protocol": 2,
        "decode_responses": False,
        "health_check_interval": 0,
        "retry_on_timeout": False,
    }
    for own in ("socket_timeout", "socket_connect_timeout", "retry_on_error", "retry"):
        options.pop(own, None)
    return pools[0].connection_class, pools[1].connection_class, options
