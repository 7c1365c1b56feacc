import flask
from servers.noting import noting_wsgi
from servers.streams import answer

from streamkit_adapters.flask import StreamingService, StreamkitMiddleware

wsgi_app = flask.Flask(__name__)
StreamkitMiddleware(wsgi_app)
wsgi_app.wsgi_app = noting_wsgi(wsgi_app.wsgi_app)  # type: ignore[assignment,method-assign]


@wsgi_app.route("/<path:path>", methods=["GET", "POST"])
def view(path: str) -> flask.Response:
    return answer(StreamingService, f"/{path}", flask.request.args)
