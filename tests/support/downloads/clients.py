"""Servers of both protocols, with one client each, in process."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import asgi_client
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

__all__ = ["Answer", "ask_asgi", "ask_wsgi"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers
    body: bytes
    sent_by_server: bool = False
    """Whether the server was to send a file by itself."""


def ask_wsgi(
    app: Any, method: str, headers: Headers, *, sends_files: bool, path: str = "/"
) -> Answer:
    """Through the checker of PEP 3333, of a server with or without ``wsgi.file_wrapper``."""
    heads: list[Any] = []
    offered = {"wsgi.file_wrapper": FileWrapper} if sends_files else {}
    request = EnvironBuilder(path, method=method, headers=headers, environ_overrides=offered)
    bodies: list[Any] = []

    def noting(environ: Any, start_response: Any) -> Any:
        bodies.append(app(environ, start_response))
        return bodies[0]

    checked: Any = validator(noting)
    chunks = checked(request.get_environ(), lambda *head: heads.append(head))
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()
    [(status, raw)] = heads
    return Answer(int(status[:3]), Headers(raw), body, isinstance(bodies[0], FileWrapper))


def ask_asgi(
    app: Any, method: str, headers: Headers, *, sends_files: bool, path: str = "/"
) -> Answer:
    """Of a server with or without ``http.response.pathsend``."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    client = asgi_client.Client()
    request = asgi_client.scope(method, path, raw)
    if sends_files:
        request["extensions"] = {"http.response.pathsend": {}}

    async def main() -> None:
        await app(request, client.receive, client.send)

    asyncio.run(main())
    paths = [event["path"] for event in client.sent if "path" in event]
    body = b"".join(map(_content, paths)) or client.body
    return Answer(client.status, client.headers, body, bool(paths))


def _content(path: str) -> bytes:
    return Path(path).read_bytes()
