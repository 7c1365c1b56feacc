"""The chat as a FastAPI application."""

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

from streamkit_adapters.fastapi import EventStream, StreamingService, StreamkitMiddleware

from .chat import Chat


class Question(BaseModel):
    question: str


def fastapi_app(chat: Chat) -> FastAPI:
    app = FastAPI(title="chat")
    app.add_middleware(StreamkitMiddleware)

    # Plain functions, which FastAPI runs on threads: each waits for a query or two.

    @app.get("/chats/{name}")
    def state(name: str) -> dict[str, object]:
        return chat.state(name)

    @app.post("/chats/{name}")
    def ask(name: str, asked: Question) -> dict[str, str]:
        key = chat.ask(name, asked.question)
        if key is None:
            raise HTTPException(422, "This is no question.")
        return {"key": key}

    @app.get("/chats/{name}/events", response_class=EventStream)
    def events(name: str) -> Response:
        return StreamingService.sse("chat", chat.channel(name))

    @app.get("/answers/{key}", response_class=EventStream)
    def answer(key: str) -> Response:
        return StreamingService.sse("answer", chat.answer(key))

    @app.post("/answers/{key}/stop")
    def stop(key: str) -> dict[str, bool]:
        return {"stopped": chat.stop(key)}

    @app.get("/{path}")
    @app.get("/")
    def page(path: str = "") -> Response:
        file = chat.file(path)
        if file is None:
            raise HTTPException(404)
        return Response(file.content, media_type=file.content_type)

    return app
