"""A chat whose answers survive a reload: one page, served by FastAPI or by Flask."""

import argparse
import logging
import os
import socket
import sys
from pathlib import Path

from streamkit import channels

from .chat import Chat
from .model import Model
from .store import Store

DATA = Path(__file__).with_name("data") / "chat.sqlite3"

THREADS = 64
"""Of waitress: a stream keeps one for as long as it lasts."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.chat", description=__doc__)
    parser.add_argument("--flask", action="store_true", help="on waitress; else FastAPI on uvicorn")
    parser.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get("STREAMKIT_CHANNELS") or None,
        help="where answers are kept, so that several of these serve the same chats "
        "(default: what STREAMKIT_CHANNELS says, else the process's memory)",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 is any that is free")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="the file of SQLite for what was said"
    )
    parser.add_argument("--words-per-second", type=float, default=25.0)
    options = parser.parse_args()
    if options.words_per_second <= 0:
        parser.error("--words-per-second must be more than 0")
    try:
        channels.use(options.redis)
    except (ConnectionError, ImportError, ValueError) as error:
        parser.error(f"--redis: {error}")
    logging.basicConfig(level=logging.WARNING)
    server = "Flask on waitress" if options.flask else "FastAPI on uvicorn"
    place = "Redis" if options.redis else "memory"
    chat = Chat(
        Model(options.words_per_second), Store(options.data), f"{server}, answers in {place}"
    )
    try:
        listening = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        parser.error(f"--port: {error.strerror}")
    with listening:
        port = listening.getsockname()[1]
        print(f"Open http://127.0.0.1:{port}/ and stop with Ctrl-C. ({server})", flush=True)
        (serve_flask if options.flask else serve_fastapi)(chat, listening)
    return 0


def serve_flask(chat: Chat, listening: socket.socket) -> None:
    from waitress import serve

    from .flask_app import flask_app

    serve(flask_app(chat), sockets=[listening], threads=THREADS)


def serve_fastapi(chat: Chat, listening: socket.socket) -> None:
    import uvicorn

    from .fastapi_app import fastapi_app

    # Pages come back by themselves, and are not waited for.
    config = uvicorn.Config(fastapi_app(chat), log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    sys.exit(main())
