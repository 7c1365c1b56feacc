"""What the README's pages do, with an EventSource that is real."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any

import pytest
from clients.model import Model, model
from node import NODE

from examples import EXAMPLES, README, WAIT, started

ASK = Path(__file__).parents[1] / "support" / "clients" / "ask.js"

(COMMAND,) = re.findall(r"^OPENAI_API_KEY=… (.*)$", README, re.M)
(PAGE,) = re.findall(r"(?<!-->\n)```js\n(.*?)```", README, re.S)


@contextmanager
def page(port: int, script: Path, question: str = "") -> Iterator[IO[bytes]]:
    """What a page with this ``script`` says."""
    origin = f"http://127.0.0.1:{port}"
    command = [f"{NODE}", "--experimental-eventsource", "--no-warnings"]
    command += [f"{ASK}", origin, f"{script}", question]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        # One that goes on for ever would be read for ever.
        patience = threading.Timer(WAIT, process.kill)
        patience.start()
        try:
            yield process.stdout
        finally:
            patience.cancel()
            process.kill()


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[int, Model]]:
    """The port of the example, and the model that it asks."""
    with model() as server, started(COMMAND, **server.environment) as example:
        yield example.port, server


WORDS = [{"text": "Why"}, {"text": "not"}]
FAILED = {"message": "The model gave up. Ask again."}

ANSWERS: list[tuple[str, list[Any]]] = [
    ("Why not", WORDS),
    ("refuse", [FAILED]),
    ("break off", [{"text": "break"}, {"text": "off"}, FAILED]),
]


@pytest.mark.parametrize(("question", "said"), ANSWERS)
def test_an_answer_is_shown_and_asked_for_once(
    asked: tuple[int, Model], question: str, said: list[Any]
) -> None:
    port, server = asked
    with page(port, EXAMPLES / "answer.js", question) as output:
        # To its end: node exits when no EventSource is open, nor will be.
        assert [json.loads(line) for line in output] == said
    assert server.asked.count(question) == 1


def test_a_connection_that_is_lost_is_not_made_again() -> None:
    with model() as server, started(COMMAND, **server.environment) as example:
        with page(example.port, EXAMPLES / "answer.js", "endless answer") as output:
            assert json.loads(output.readline()) == {"text": "endless"}
            example.process.kill()
            *_, last = map(json.loads, output)
            assert last == {"message": "The connection was lost."}
        assert server.asked == ["endless answer"]


def test_whoever_leaves_ends_the_request_to_the_model(asked: tuple[int, Model]) -> None:
    port, server = asked
    with closing(HTTPConnection("127.0.0.1", port, timeout=WAIT)) as connection:
        connection.request("GET", "/answer?question=endless")
        response = connection.getresponse()
        while b"endless" not in response.readline():
            pass
        response.close()
    assert server.was_left.wait(WAIT)


def test_a_page_reads_the_events(tmp_path: Path) -> None:
    script = tmp_path / "page.js"
    script.write_text(PAGE)
    with started("uvicorn fastapi_events:app") as served, page(served.port, script) as output:
        assert [output.readline() for _ in range(3)] == [b"1\n", b"2\n", b"3\n"]
