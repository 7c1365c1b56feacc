"""The page on language models: each block runs, and other people's clients read what it sends."""

import json
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4

import openai
import pytest
import uvicorn
from clients.model import WAIT, Model, model
from node import NODE
from pages import run

from streamkit import channels, lossless
from streamkit.testing import connect

SCRIPT = Path(__file__).parents[1] / "support" / "clients" / "answers.js"

Said = list[dict[str, Any]]


class Site:
    """The page's programs, served, and the model that they ask."""

    def __init__(self, origin: str, names: dict[str, Any], model: Model) -> None:
        self.origin = origin
        self.names = names
        self.model = model


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    channels.use(None)
    with model() as asked, pytest.MonkeyPatch.context() as patch:
        for name, value in asked.environment.items():
            patch.setenv(name, value)
        names = run("llm.md")
        names["tokens"] = with_a_fault(names["tokens"])
        config = uvicorn.Config(names["app"], port=0, lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Site(f"http://127.0.0.1:{port}", names, asked)
        finally:
            asked.goes_on.set()
            server.should_exit = True
            thread.join(WAIT)


@pytest.fixture(autouse=True)
def _anew(site: Site) -> None:
    site.model.goes_on.clear()
    site.model.was_left.clear()


def with_a_fault(tokens: Any) -> Any:
    """The same, but that the question ``fault`` meets one of the program's own."""

    async def faulty(prompt: str) -> AsyncIterator[Any]:
        if prompt == "fault":
            yield {"text": "fault"}
            raise RuntimeError("secret")
        async for token in tokens(prompt):
            yield token

    return faulty


@contextmanager
def happening(node: Mapping[str, str], *arguments: str) -> Iterator[Iterator[dict[str, Any]]]:
    """What happens to a client of node's, one by one."""
    command = [f"{NODE}", "--experimental-eventsource", "--no-warnings", f"{SCRIPT}", *arguments]
    with subprocess.Popen(command, env=node, stdout=subprocess.PIPE) as process:
        assert process.stdout
        # One that goes on for ever would be read for ever.
        patience = threading.Timer(WAIT, process.kill)
        patience.start()
        try:
            yield map(json.loads, process.stdout)
        finally:
            patience.cancel()
            process.kill()


def all_that_happens(node: Mapping[str, str], *arguments: str) -> Said:
    with happening(node, *arguments) as happens:
        return [*happens]


def url_of(site: Site, prompt: str, path: str = "answers") -> str:
    return f"{site.origin}/{path}/{uuid4().hex}?prompt={prompt}"


# What is sent to any client, and what becomes of it.


def test_tokens_come_as_they_are_and_the_last_says_so(site: Site, node: Mapping[str, str]) -> None:
    url = f"{site.origin}/answer?prompt=Why+not"
    data = ['{"text":"Why"}', '{"text":"not"}', "[DONE]"]
    said = all_that_happens(node, "eventsource-parser", url)
    assert said == [*({"event": "message", "data": each} for each in data), {"over": True}]


def test_who_leaves_an_answer_that_is_lossless_ends_the_request_to_the_model(
    site: Site, node: Mapping[str, str]
) -> None:
    with happening(node, "eventsource-parser", f"{site.origin}/answer?prompt=endless") as happens:
        next(happens)
    assert site.model.was_left.wait(WAIT)


def test_an_event_source_reloads_in_the_middle_and_is_told_the_end(
    site: Site, node: Mapping[str, str]
) -> None:
    url = url_of(site, "wait+for+me")
    words = [{"data": f'{{"text":"{word}"}}'} for word in ("wait", "for", "me", "on")]
    with happening(node, "EventSource", url) as happens:
        assert [next(happens) for _ in range(3)] == words[:3]
    with happening(node, "EventSource", url) as again:
        assert [next(again) for _ in range(3)] == words[:3]
        site.model.goes_on.set()
        assert [*again] == [
            words[3],
            {"data": "[DONE]"},
            # It comes back for more, and a 204 is all there is.
            {"error": None, "closed": False},
        ]
    assert site.model.asked.count("wait for me") == 1


def test_an_answer_is_stopped(site: Site, node: Mapping[str, str]) -> None:
    url = url_of(site, "wait+so+long")
    with happening(node, "eventsource-parser", url) as happens:
        assert [next(happens)["data"] for _ in range(3)][-1] == '{"text":"long"}'
        assert stop(url) == {"stopped": True}
        assert [*happens] == [{"over": True}]
    site.model.goes_on.set()
    assert stop(url) == {"stopped": False}


def http() -> Any:
    return openai.DefaultHttpxClient(trust_env=False)


def stop(url: str) -> Any:
    with http() as client:
        return client.post(f"{url.partition('?')[0]}/stop").json()


@pytest.mark.parametrize(
    ("prompt", "text", "ending"),
    [("Why not", "Whynot", "done"), ("break off", "breakoff", "failed")],
)
def test_what_was_said_is_stored_though_nobody_is_there(
    site: Site, node: Mapping[str, str], prompt: str, text: str, ending: str
) -> None:
    with http() as client:
        key = client.post(f"{site.origin}/questions", json={"prompt": prompt}).json()["key"]
        assert client.get(f"{site.origin}/questions/none/answer").status_code == 404
    url = f"{site.origin}/questions/{key}/answer"
    with happening(node, "eventsource-parser", url) as happens:
        first = next(happens)
    deadline = time.monotonic() + WAIT
    while not site.names["stored"][key]["ending"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert site.names["stored"][key] == {"prompt": prompt, "text": text, "ending": ending}
    asked = len(site.model.asked)
    assert all_that_happens(node, "eventsource-parser", url)[0] == first
    assert len(site.model.asked) == asked


WORDS = [
    {"event": "message", "data": '{"text":"break"}'},
    {"event": "message", "data": '{"text":"off"}'},
]
LOST = {"error": "TypeError"}
FAILED = '{"error":"failed"}'

SEEN: dict[str, Said] = {
    "EventSource": [
        *({"data": word["data"]} for word in WORDS),
        {"error": FAILED, "closed": False},
        {"error": None, "closed": False},
    ],
    "fetch-event-source": [
        *WORDS,
        {"event": "error", "data": FAILED},
        LOST,
        {"error": "Expected content-type to be text/event-stream, Actual: null"},
    ],
    "eventsource-parser": [*WORDS, {"event": "error", "data": FAILED}, LOST],
}


@pytest.mark.parametrize("client", SEEN)
def test_how_a_client_sees_that_an_answer_has_failed(
    site: Site, node: Mapping[str, str], client: str
) -> None:
    assert all_that_happens(node, client, url_of(site, "break+off")) == SEEN[client]


# OpenAI's dialect.


def completed(site: Site, prompt: str) -> Iterator[str]:
    with (
        openai.OpenAI(
            base_url=f"{site.origin}/v1",
            api_key="none",
            max_retries=0,
            timeout=WAIT,
            http_client=http(),
        ) as client,
        client.chat.completions.create(
            model="mine", messages=[{"role": "user", "content": prompt}], stream=True
        ) as chunks,
    ):
        for chunk in chunks:
            yield chunk.choices[0].delta.content or f"{chunk.choices[0].finish_reason}"


def test_openai_reads_an_answer(site: Site) -> None:
    assert [*completed(site, "Why not")] == ["Why", "not", "stop"]


@pytest.mark.parametrize(
    ("prompt", "before", "message", "body"),
    [
        (
            "break off",
            ["break", "off"],
            "The model gave up.",
            {"message": "The model gave up.", "type": "server_error"},
        ),
        ("fault", ["fault"], "An error occurred during streaming", "failed"),
    ],
)
def test_openai_raises_what_it_is_told(
    site: Site, prompt: str, before: list[str], message: str, body: object
) -> None:
    got = []
    with pytest.raises(openai.APIError) as raised:
        for word in completed(site, prompt):
            got.append(word)
    assert got == before
    assert (raised.value.message, raised.value.body) == (message, body)


# The AI SDK's.


def test_the_ai_sdk_reads_an_answer_and_comes_back_to_it(
    site: Site, node: Mapping[str, str]
) -> None:
    api, chat = f"{site.origin}/api/chat", uuid4().hex
    with happening(node, "ask", api, chat, "wait here") as happens:
        while next(happens) != {"text": "waithere"}:
            pass
    with happening(node, "resume", api, chat) as again:
        while next(again) != {"text": "waithere"}:
            pass
        site.model.goes_on.set()
        *_, text, over = again
    assert (text, over) == ({"text": "waithereon"}, {"over": True})
    assert all_that_happens(node, "resume", api, chat) == [{"nothing": True}]
    assert site.model.asked.count("wait here") == 1


def test_the_ai_sdk_sees_an_answer_stopped(site: Site, node: Mapping[str, str]) -> None:
    api, chat = f"{site.origin}/api/chat", uuid4().hex
    with happening(node, "ask", api, chat, "wait then stop") as happens:
        while next(happens) != {"text": "waitthenstop"}:
            pass
        assert stop(f"{api}/{chat}") == {"stopped": True}
        assert [*happens][-1] == {"over": True}
    assert stop(f"{api}/{chat}") == {"stopped": False}
    site.model.goes_on.set()


def test_the_ai_sdk_is_told_of_errors(site: Site, node: Mapping[str, str]) -> None:
    api = f"{site.origin}/api/chat"
    *_, last = all_that_happens(node, "ask", api, uuid4().hex, "break off")
    assert last["message"] == "The model gave up."
    *_, last = all_that_happens(node, "ask", api, uuid4().hex, "fault")
    assert last["error"] == "AI_TypeValidationError"


# What breaks off, and tells nothing.


@pytest.fixture
def silent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dialects as the page has them for those that never come back."""
    silent = SimpleNamespace(start=lambda key, source: lossless(source))
    monkeypatch.setitem(site.names, "answers", silent)


@pytest.mark.usefixtures("silent")
def test_openai_sees_what_breaks_off(site: Site) -> None:
    got = []
    with pytest.raises(openai.APIConnectionError):
        for word in completed(site, "fault"):
            got.append(word)
    assert got == ["fault"]


@pytest.mark.usefixtures("silent")
def test_the_ai_sdk_sees_what_breaks_off(site: Site, node: Mapping[str, str]) -> None:
    said = all_that_happens(node, "ask", f"{site.origin}/api/chat", uuid4().hex, "fault")
    assert said[-1]["error"] == "TypeError"


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ("EventSource", [{"data": '{"text":"fault"}'}, {"error": None, "closed": False}]),
        ("fetch-event-source", [{"event": "message", "data": '{"text":"fault"}'}, LOST]),
        ("eventsource-parser", [{"event": "message", "data": '{"text":"fault"}'}, LOST]),
    ],
)
def test_a_reader_sees_what_breaks_off(
    site: Site, node: Mapping[str, str], client: str, said: Said
) -> None:
    with happening(node, client, f"{site.origin}/answer?prompt=fault") as happens:
        assert [next(happens) for _ in said] == said


# The other frameworks.


def words_of(app: Any, url: str) -> list[str]:
    with connect(app, url) as client:
        return [client.event().data for _ in range(3)]


ANSWER = ['{"text":"Why"}', '{"text":"not"}', "[DONE]"]


def test_flask_answers_and_stops(site: Site) -> None:
    app = site.names["site"]
    for _ in range(2):
        assert words_of(app, "/answers/flask?prompt=Why+not") == ANSWER
    assert app.test_client().post("/answers/flask/stop").get_json() == {"stopped": False}
    assert site.model.asked.count("Why not") >= 1


def test_django_answers_and_stops(site: Site) -> None:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.test import Client

    urls = ModuleType("urls")
    urls.__dict__["urlpatterns"] = site.names["urlpatterns"]
    settings.configure(
        ROOT_URLCONF=urls,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["streamkit_adapters.django.StreamkitMiddleware"],
    )
    app = get_wsgi_application()
    for _ in range(2):
        assert words_of(app, "/answers/django?prompt=Why+not") == ANSWER
    assert Client().post("/answers/django/stop").json() == {"stopped": False}
