"""The demo as a Flask application."""

from typing import Any, Literal

from flask import Flask, Response, request

from streamkit import ExportFormat
from streamkit_adapters.flask import StreamingResponse, StreamkitMiddleware

from .service import Demo


def flask_app(demo: Demo[StreamingResponse]) -> Flask:
    app = Flask(__name__, static_folder=None)
    StreamkitMiddleware(app, tenant=lambda _: "wsgi")

    @app.get("/figures/<any(sync, async):source>")
    def figures(source: Literal["sync", "async"]) -> Response:
        return demo.figures(source)

    @app.post("/drop")
    def drop() -> str:
        demo.drop()
        return ""

    @app.get("/board")
    def board() -> Response:
        return demo.board()

    @app.post("/board")
    def paint() -> tuple[str, int]:
        try:
            demo.painted.paint(request.query_string.decode())
        except ValueError as error:
            return f"{error}\n", 400
        return "", 200

    @app.get("/board.json")
    def board_state() -> dict[str, Any]:
        return demo.painted.state()

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
        found = demo.document(request.path)
        return Response(found.body, found.status, content_type=found.content_type)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(demo.headers(request.headers.get("Origin")))
        return response

    return app
