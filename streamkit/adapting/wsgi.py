"""PEP 3333, for the adapters of frameworks that speak it."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import HTTP_STATUS_CODES

from streamkit.adapting.connection import client_of
from streamkit.request import Request
from streamkit.stream.chunks import Chunks
from streamkit.stream.server_file import BLOCK_BYTES, ServerFile

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["status_line", "wsgi_body", "wsgi_request"]

KNOWING: Final = ("gunicorn/", "Werkzeug/")
"""What the names of servers begin with that know how many processes they have."""


def wsgi_request(environ: "WSGIEnvironment") -> Request:
    """The request of a WSGI ``environ`` (PEP 3333), and what its server can do."""
    return Request(
        method=environ["REQUEST_METHOD"],
        headers=EnvironHeaders(environ),
        sends_files="wsgi.file_wrapper" in environ,
        client=partial(client_of, environ),
        has_siblings=bool(environ.get("wsgi.multiprocess")) and _knows_its_processes(environ),
    )


def _knows_its_processes(environ: "WSGIEnvironment") -> bool:
    """Whether ``wsgi.multiprocess`` is true only where there are several.

    It is always so of bridges from ASGI and of test clients, which do not know.
    """
    return (
        str(environ.get("SERVER_SOFTWARE", "")).startswith(KNOWING)
        or "uwsgi.version" in environ
        or "mod_wsgi.version" in environ
    )


def status_line(code: int) -> str:
    """The status as ``start_response`` takes it: its code and its phrase, as in ``"200 OK"``."""
    return f"{code} {HTTP_STATUS_CODES.get(code, 'Unknown')}"


def wsgi_body(body: Chunks | ServerFile | bytes, environ: "WSGIEnvironment") -> Iterable[bytes]:
    """The ``body`` of a reply as the application returns it, for the server to iterate and close.

    A file is in the server's own ``wsgi.file_wrapper``.
    """
    if isinstance(body, ServerFile):
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](body, BLOCK_BYTES)
        return wrapped
    if isinstance(body, bytes):
        return (body,) if body else ()
    return body
