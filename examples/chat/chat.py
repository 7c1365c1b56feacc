"""The chat, whatever framework serves it: what is asked, answered, followed and stopped."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from streamkit import Channel, Resumable, ServerSentEvent
from streamkit.resumable import Answer

from .model import Model
from .store import Store

PAGE = Path(__file__).with_name("page")

FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "style.css": ("style.css", "text/css; charset=utf-8"),
}

LONGEST = 2000
"""Characters of a question."""


class File(NamedTuple):
    content: bytes
    content_type: str


class Chat:
    """Nothing here waits for more than a query, and nothing is of one process alone.

    Each answer has a key, and each chat a channel, on which all its pages are told of questions
    and of endings.
    """

    answers = Resumable("answers")

    def __init__(self, model: Model, store: Store, about: str) -> None:
        self._model = model
        self._store = store
        self._about = about

    def file(self, path: str) -> File | None:
        """Of the page."""
        if path not in FILES:
            return None
        name, content_type = FILES[path]
        return File((PAGE / name).read_bytes(), content_type)

    def state(self, chat: str) -> dict[str, Any]:
        """What a page shows that opens now, and from where on it is told of more."""
        # In this order: what comes in between is told of, and known already.
        position = self.channel(chat).last_event_id()
        return {
            "about": self._about,
            "position": position,
            "messages": self._store.messages(chat),
        }

    def channel(self, chat: str) -> Channel:
        return Channel(f"chat:{chat}")

    def ask(self, chat: str, question: str) -> str | None:
        """The key of its answer; None if it is no question."""
        question = question.strip()
        if not question or len(question) > LONGEST:
            return None
        key = uuid4().hex
        self._store.add(chat, key, question)
        self.channel(chat).publish(ServerSentEvent({"key": key, "question": question}, "asked"))
        return key

    def answer(self, key: str) -> Answer:
        """For whoever comes: the first one starts it, and all follow."""
        message = self._store.message(key)
        if message is None or message["ending"]:
            return self.answers.follow(key)
        return self.answers.start(key, self._made(message))

    def stop(self, key: str) -> bool:
        return self.answers.stop(key)

    async def _made(self, message: dict[str, Any]) -> AsyncGenerator[Any]:
        """The answer to this message, which is kept for good once it has ended, however it does."""
        words: list[str] = []
        ending = "stopped"
        try:
            async with aclosing(self._model.answer(message["question"])) as answer:
                async for word in answer:
                    words.append(word)
                    yield {"text": word}
            ending = "done"
            yield ServerSentEvent("", event="done")
        except Exception:
            ending = "failed"
            raise
        finally:
            await asyncio.to_thread(self._store.finish, message["key"], "".join(words), ending)
            ended = ServerSentEvent({"key": message["key"], "ending": ending}, "ended")
            await self.channel(message["chat"]).apublish(ended)
