"""What the README says to install and start, where nothing else is: in environments of their own.

What they start is served, and answers what curl asks for.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()

WAIT = 60.0
"""Seconds after which a server will not listen, or not answer."""

BLOCKS = [
    block.splitlines()
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
    if "curl" in block
]

# Of each example the first line of what each curl of its block is sent that is no comment.
ANSWERS = {
    "flask_events": ["id: 1"],
    "django_events": ["id: 1"],
    "fastapi_events": ["id: 1"],
    # The one that asks a model, for whom a key is needed: tests/clients asks it.
    "fastapi_answer": [],
    "flask_channel": ["event: subscribed", ""],
    "flask_orders": ["id,status", "from flask "],
}


def example_of(block: list[str]) -> str:
    names = re.findall(r"(?:flask|django|fastapi)_\w+", "\n".join(block))
    assert len(names) == 1
    return f"{names[0]}"


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def served(command: str, folder: Path, path: str) -> Iterator[int]:
    """The port of the server that is started by this line of a block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Through a shell, as it has a variable before it.
    with subprocess.Popen(
        ["sh", "-c", f"exec env {command} --port {port}"],
        cwd=folder,
        # And nothing that says where else there are modules.
        env={"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            deadline = time.monotonic() + WAIT
            while True:
                with suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                assert server.poll() is None, f"{command} ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield port
        finally:
            server.terminate()


def first_line(answer: "subprocess.Popen[str]") -> str:
    assert answer.stdout
    for line in answer.stdout:
        if line.strip() and not line.startswith(":"):
            return line.rstrip("\r\n")
    return ""


def test_the_blocks_are_those_of_the_examples() -> None:
    assert {example_of(block) for block in BLOCKS} == ANSWERS.keys()


@pytest.fixture(scope="module")
def environments(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By what is said to be installed, an environment with that, and the path of its programs."""
    (wheel,) = built.glob("*.whl")
    found: dict[str, Path] = {}
    for block in BLOCKS:
        said = next((line for line in block if line.startswith("pip install ")), None)
        if said is None or said in found:
            continue
        folder = tmp_path_factory.mktemp("environment")
        _, _, *wanted = shlex.split(said)
        wanted = [each.replace("streamkit-http", f"{wheel}") for each in wanted]
        run("uv", "venv", "--quiet", "--python", sys.executable, folder / "v")
        run("uv", "pip", "install", "--quiet", "--python", folder / "v" / "bin" / "python", *wanted)
        found[said] = folder / "v" / "bin"
    return found


@pytest.mark.parametrize("block", BLOCKS, ids=example_of)
def test_what_the_readme_says_to_start_answers(
    block: list[str], environments: dict[str, Path], tmp_path: Path
) -> None:
    example = example_of(block)
    shutil.copy(ROOT / "examples" / f"{example}.py", tmp_path)
    # A block that installs nothing goes on from the first one.
    said = block[0] if block[0] in environments else BLOCKS[0][0]
    path = f"{environments[said]}:{os.environ['PATH']}"
    start, *asks = [line for line in block if not line.startswith("pip ")]
    with served(start, tmp_path, path) as port:
        answers = []
        for ask, expected in zip(asks, ANSWERS[example], strict=False):
            words = shlex.split(re.sub(r":\d{4}/", f":{port}/", ask), comments=True)
            words[1:1] = ["--silent", "--noproxy", "*"]
            answer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            answers.append(answer)
            assert first_line(answer) == expected
        for answer in answers:
            answer.terminate()
            answer.communicate()
