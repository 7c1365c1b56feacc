"""Exports of Flask's are compressed once, as the client likes it."""

from flask import Flask
from gzipped import ROWS, assert_gzipped, assert_plain
from werkzeug.datastructures import Headers

from streamkit_adapters.flask import StreamingService


def ask(**headers: str) -> tuple[Headers, bytes]:
    app = Flask(__name__)
    app.add_url_rule("/", "view", lambda: StreamingService.export("e", ROWS, "ndjson"))
    response = app.test_client().get("/", headers=headers)
    return response.headers, response.data


def test_an_export_is_compressed_for_a_client_that_accepts_gzip() -> None:
    assert_gzipped(*ask(Accept_Encoding="gzip"))


def test_an_export_is_plain_for_a_client_that_accepts_no_gzip() -> None:
    assert_plain(*ask())
