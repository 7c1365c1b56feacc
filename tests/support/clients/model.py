"""A language model, as far as OpenAI's client can tell."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Model", "model"]


WAIT = 20.0
"""Seconds after which nobody will say that it is to go on."""


class Model(ThreadingHTTPServer):
    """Answers a question with its words; ``refuse`` and ``break`` are answered so.

    With ``wait`` the rest, a word ``on``, comes once ``goes_on`` is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.was_left = threading.Event()
        """Whether a client went away before the end of its answer."""
        self.goes_on = threading.Event()

    @property
    def environment(self) -> dict[str, str]:
        """What makes OpenAI's client ask this one."""
        origin = f"http://127.0.0.1:{self.server_address[1]}"
        return {"OPENAI_BASE_URL": origin, "OPENAI_API_KEY": "none", "NO_PROXY": "127.0.0.1"}


class _Handler(BaseHTTPRequestHandler):
    server: Model
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        question = json.loads(self.rfile.read(length))["messages"][0]["content"]
        self.server.asked.append(question)
        self.close_connection = True
        if question == "refuse":
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for word in question.split():
                self._send({"choices": [{"delta": {"content": word}, "index": 0}]})
            if question.startswith("break"):
                return
            if question.startswith("wait"):
                self.server.goes_on.wait(WAIT)
                self._send({"choices": [{"delta": {"content": "on"}, "index": 0}]})
            while question.startswith("endless"):
                self._send({"choices": [{"delta": {"content": "on"}, "index": 0}]})
        except OSError:
            self.server.was_left.set()
            return
        self._write("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, chunk: dict[str, Any]) -> None:
        whole = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        self._write(f"data: {json.dumps(whole | chunk)}\n\n")

    def _write(self, text: str) -> None:
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def model() -> Iterator[Model]:
    with Model() as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server
        finally:
            server.shutdown()
