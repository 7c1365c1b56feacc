"""The demo as a Flask application."""

from typing import Literal

from flask import Flask, Response, request

from streamkit import ExportFormat
from streamkit_adapters.flask import StreamingResponse, StreamkitMiddleware

from .service import Demo, Document


def flask_app(demo: Demo[StreamingResponse]) -> Flask:
    app = Flask(__name__, static_folder=None)
    StreamkitMiddleware(app, tenant=lambda _: "wsgi")

    @app.get("/figures/<any(sync, async):source>")
    def figures(source: Literal["sync", "async"]) -> Response:
        return demo.figures(source)

    @app.post("/drop")
    def drop() -> Response:
        return reply(demo.drop())

    @app.get("/board")
    def board() -> Response:
        return demo.board()

    @app.post("/board")
    def paint() -> Response:
        return reply(demo.paint(request.query_string.decode()))

    @app.get("/board.json")
    def board_state() -> Response:
        return reply(demo.state())

    @app.post("/kill")
    def kill() -> Response:
        return reply(demo.kill(request.query_string.decode(), request.headers.get("Origin")))

    @app.get("/flood")
    def flood() -> Response:
        return demo.flood()

    @app.get("/lines.<any(json, csv, ndjson):format>")
    def lines(format: ExportFormat) -> Response:
        return demo.lines(format)

    @app.get("/library.tar")
    def archive() -> Response:
        return demo.archive()

    @app.get("/library.tar.sha256")
    def digest() -> Response:
        return demo.digest()

    @app.get("/")
    @app.get("/<path>")
    def document(path: str = "") -> Response:
        return reply(demo.document(request.path))

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(demo.headers(request.headers.get("Origin")))
        return response

    return app


def reply(document: Document) -> Response:
    return Response(document.body, document.status, content_type=document.content_type)
