"""The handle: what it takes, what it refuses, and where it may be called."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from combinations import AsyncSource, SyncSource

from streamkit import Resumable, StreamingService, inline, lossless

answers = Resumable("answers")


def numbers() -> Iterator[int]:
    yield 1


async def anumbers() -> AsyncIterator[int]:
    yield 1


def test_it_is_equal_by_name() -> None:
    assert Resumable("answers") == answers != Resumable("others")
    assert len({Resumable("answers"), answers}) == 1
    assert answers != "answers"
    assert repr(answers) == "Resumable('answers')"
    assert answers.name == "answers"
    assert repr(answers.follow("key")) == "<answer 'key' of Resumable('answers')>"


NAMES: list[tuple[Any, type[Exception], str]] = [
    (7, TypeError, "must be a str, got int"),
    (None, TypeError, "must be a str, got NoneType"),
    (b"a", TypeError, "must be a str, got bytes"),
    ("", ValueError, "must be printable and not blank"),
    (" ", ValueError, "must be printable and not blank"),
    ("a\nb", ValueError, "must be printable and not blank"),
    ("x" * 201, ValueError, "must not be longer than 200 characters, got 201"),
]


@pytest.mark.parametrize(("value", "error", "message"), NAMES)
def test_names_and_keys_are_short_texts(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"name {message}"):
        Resumable(value)
    for call in (answers.follow, answers.stop, lambda key: answers.start(key, numbers())):
        with pytest.raises(error, match=f"key {message}"):
            call(value)
    with pytest.raises(error, match=f"key {message}"):
        asyncio.run(answers.astop(value))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (None, TypeError, "source must be an iterable or async iterable"),
        ("text", TypeError, "got one str: put it in a list"),
        ({"a": 1}, TypeError, "got one mapping"),
        (numbers, TypeError, r"got a function: call it, as in numbers\(\)"),
        (inline(numbers()), TypeError, "source must not be inline"),
        (lossless(inline(numbers())), TypeError, "source must not be inline"),
        (answers.follow("key"), TypeError, "got Answer"),
    ],
)
def test_a_source_has_elements(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        answers.start("key", source)


def test_a_source_that_is_over_is_refused() -> None:
    over = numbers()
    assert [*over] == [1]
    with pytest.raises(ValueError, match="read to its end"):
        answers.start("key", over)


def test_it_is_lossless_anyway() -> None:
    body = b"".join(StreamingService.sse("a", answers.start("marked", lossless(numbers()))))
    assert b"data: 1" in body


def test_what_takes_an_answer() -> None:
    answer = answers.follow("key")
    with pytest.raises(TypeError, match="serialize must be None for a resumable answer"):
        StreamingService.sse("a", answer, serialize=str)
    refused = "must not be a resumable answer: stream it by sse"
    with pytest.raises(TypeError, match=f"rows {refused}"):
        StreamingService.export("e", answer, "json")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"source {refused}"):
        StreamingService.download(answer, filename="f")  # type: ignore[arg-type]


def test_stop_is_refused_on_a_loop() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"stop would block the event loop.*astop"):
            answers.stop("key")

    asyncio.run(main())


@pytest.mark.parametrize("kind", [SyncSource, AsyncSource])
def test_what_is_refused_with_a_source_leaves_it_unread(kind: Any) -> None:
    source = kind([1])
    with pytest.raises(TypeError, match="serialize must be None"):
        StreamingService.sse("a", answers.start("key", source), serialize=str)
    assert source.given == 0
