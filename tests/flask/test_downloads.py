"""Downloads as HTTP resources, from Flask."""

from pathlib import Path

import flask
import pytest
from downloads.clients import Answer, ask_wsgi
from downloads.suite import Suite, View
from werkzeug.datastructures import Headers

from streamkit_adapters.flask import StreamingService


class TestFlask(Suite):
    sent_by_server = frozenset({"path", "str", "open file", "raw file", "begun file"})

    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        app = flask.Flask(__name__)
        app.add_url_rule(
            "/", view_func=lambda: view(StreamingService), methods=["GET", "HEAD", "POST"]
        )
        return ask_wsgi(app, method, headers, sends_files=sends_files)


@pytest.mark.parametrize("sends_files", [False, True])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}], ids=str)
def test_a_request_is_torn_down_once(
    tmp_path: Path, headers: dict[str, str], sends_files: bool
) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes(b"data")
    app = flask.Flask(__name__)
    log: list[str] = []

    def view() -> flask.Response:
        response: flask.Response = StreamingService.download(path, filename="data.txt")
        response.call_on_close(lambda: log.append("closed"))
        return response

    app.add_url_rule("/", view_func=view)
    app.teardown_request(lambda error: log.append("request"))
    app.teardown_appcontext(lambda error: log.append("app"))
    ask_wsgi(app, "GET", Headers(headers), sends_files=sends_files)
    assert sorted(log) == ["app", "closed", "request"]
