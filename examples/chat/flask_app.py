"""The chat as a Flask application."""

from flask import Flask, Response, abort, request

from streamkit_adapters.flask import StreamingService, StreamkitMiddleware

from .chat import Chat


def flask_app(chat: Chat) -> Flask:
    app = Flask(__name__, static_folder=None)
    StreamkitMiddleware(app)

    @app.get("/chats/<name>")
    def state(name: str) -> dict[str, object]:
        return chat.state(name)

    @app.post("/chats/<name>")
    def ask(name: str) -> dict[str, str]:
        key = chat.ask(name, str(request.get_json()["question"]))
        if key is None:
            abort(422, "This is no question.")
        return {"key": key}

    @app.get("/chats/<name>/events")
    def events(name: str) -> Response:
        return StreamingService.sse("chat", chat.channel(name))

    @app.get("/answers/<key>")
    def answer(key: str) -> Response:
        return StreamingService.sse("answer", chat.answer(key))

    @app.post("/answers/<key>/stop")
    def stop(key: str) -> dict[str, bool]:
        return {"stopped": chat.stop(key)}

    @app.get("/")
    @app.get("/<path>")
    def page(path: str = "") -> Response:
        file = chat.file(path)
        if file is None:
            abort(404)
        return Response(file.content, content_type=file.content_type)

    return app
