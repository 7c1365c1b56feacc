"""A language model that needs no network: a Markov chain of words, over the project's own pages."""

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2]
"""Where the README is, and docs/."""

PARAGRAPH = 55
"""Words after which the end of a sentence is the end of its paragraph."""

FAILS_AFTER = 40
"""Words, of an answer that is to fail."""

LONG = 40
"""Paragraphs of an answer that is long enough to do something about it."""

State = tuple[str, str]
START: State = ("", "")


class Model:
    """Says what could stand in the pages that it has read.

    A question with the word "long" has a long answer, and on one with the word "fail" it fails in
    the middle.
    """

    def __init__(self, words_per_second: float) -> None:
        self._pause = 1 / words_per_second
        self._after: defaultdict[State, list[str]] = defaultdict(list)
        self._starts: defaultdict[str, list[State]] = defaultdict(list)
        for sentence in sentences():
            state = START
            for word in (*sentence, ""):
                self._after[state].append(word)
                state = (state[1], word)
            for word in map(plain, sentence):
                self._starts[word].append((sentence[0], sentence[1]))

    async def answer(self, question: str) -> AsyncGenerator[str]:
        """Its words, as they come to it, with the blanks before them."""
        asked = set(map(plain, question.split()))
        for number, word in enumerate(self._words(asked, LONG if "long" in asked else 2)):
            if "fail" in asked and number == FAILS_AFTER:
                raise RuntimeError("the model was asked to fail")
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))
            yield word

    def _words(self, asked: set[str], paragraphs: int) -> Iterator[str]:
        # The rarer a word is, the more it says of what is asked for.
        known = sorted((len(self._starts[word]), word) for word in asked if word in self._starts)
        state: State | None = random.choice(self._starts[known[0][1]]) if known else None
        for paragraph in range(paragraphs):
            blank, count = "\n\n" if paragraph else "", 0
            while count < PARAGRAPH:
                for word in self._sentence(state):
                    yield blank + word
                    blank = " "
                    count += 1
                state = None

    def _sentence(self, begin: State | None) -> Iterator[str]:
        state = START
        if begin is not None:
            yield from begin
            state = begin
        while word := random.choice(self._after[state]):
            yield word
            state = (state[1], word)


def plain(word: str) -> str:
    return word.strip("\"'`.,:;?!()*").lower()


def sentences() -> Iterator[list[str]]:
    """Of the prose of all pages: no code, no tables, no headings."""
    for page in (PAGES / "README.md", *sorted(PAGES.glob("docs/*.md"))):
        text = re.sub(
            r"^```.*?^```|^(?:#|\||<!--| {4}).*?$", "", page.read_text(), flags=re.M | re.S
        )
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
        text = re.sub(r"[`*](?=\S)|(?<=\S)[`*]", "", text)
        for paragraph in re.split(r"\n\s*\n|^[*-] |^\d+\. ", text, flags=re.M):
            for sentence in re.findall(r"[A-Z].*?[.?](?=\s|$)", " ".join(paragraph.split())):
                words = sentence.split()
                if len(words) > 3:
                    yield words
