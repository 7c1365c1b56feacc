"""What is true of a download in every adapter."""

import email
import email.policy
from abc import ABC, abstractmethod
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from werkzeug.datastructures import Headers

from downloads.clients import Answer
from downloads.forms import ONCE, REOPENABLE, Form, Function
from downloads.table import DATA, ETAG, HEADERS, MODIFIED, SIZE, TABLE, WHOLE, Case, Outcome

__all__ = ["Suite", "View", "content", "parts"]

View = Callable[[Any], Any]


def parts(answer: Answer) -> list[tuple[str, bytes]]:
    """The ``Content-Range`` and the bytes of each part of a multipart, as ``email`` reads it."""
    head = f"MIME-Version: 1.0\r\nContent-Type: {answer.headers['Content-Type']}\r\n\r\n"
    message = email.message_from_bytes(head.encode() + answer.body, policy=email.policy.HTTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert message.get_content_type() == "multipart/byteranges"
    read = []
    for each in message.iter_parts():
        assert not each.defects
        assert each["Content-Type"] == HEADERS["Content-Type"]
        body = each.get_payload(decode=True)
        assert isinstance(body, bytes)
        read.append((each["Content-Range"], body))
    return read


def content(of: range) -> tuple[str, bytes]:
    return f"bytes {of.start}-{of.stop - 1}/{SIZE}", DATA[of.start : of.stop]


def expected_headers(outcome: Outcome, form: Form, answer: Answer) -> dict[str, str]:
    headers = dict(HEADERS)
    if form in ONCE:
        del headers["Accept-Ranges"]
    if outcome.status == 206:
        headers["Content-Length"] = str(len(answer.body))
        if len(outcome.ranges) == 1:
            headers["Content-Range"] = content(outcome.ranges[0])[0]
        else:
            headers["Content-Type"] = answer.headers["Content-Type"]
    elif outcome.status != 200:
        del headers["Content-Disposition"]
        if outcome.status == 304:
            del headers["Content-Type"], headers["Content-Length"]
        else:
            headers |= {"Content-Type": "text/plain; charset=utf-8", "Content-Length": "0"}
        if outcome.status == 416:
            headers["Content-Range"] = f"bytes */{SIZE}"
    return {name.lower(): value for name, value in headers.items()}


def without_ranges(case: Case) -> Outcome:
    return WHOLE if case.outcome.status in (206, 416) else case.outcome


def _just(source: Any, folder: Path) -> Any:
    return source


class Suite(ABC):
    """The tests of an adapter, of which a subclass says how to ask it."""

    sent_by_server: ClassVar[frozenset[str]] = frozenset()
    """The forms that the server sends by itself, if it can."""

    @abstractmethod
    def ask(self, view: View, method: str, headers: Headers, *, sends_files: bool) -> Answer:
        """What answers where ``view`` makes the response, given the adapter's service."""

    def _ask(
        self,
        form: Form,
        folder: Path,
        method: str,
        headers: Any,
        *,
        sends_files: bool = False,
    ) -> Answer:
        def view(service: Any) -> Any:
            return service.download(
                form.make(folder),
                filename="data.bin",
                size=form.size,
                etag=ETAG,
                last_modified=MODIFIED,
            )

        return self.ask(view, method, Headers(headers), sends_files=sends_files)

    @pytest.mark.parametrize("case", TABLE, ids=str)
    def test_every_request_of_the_table_has_its_answer(self, case: Case, tmp_path: Path) -> None:
        for form in REOPENABLE:
            answer = self._ask(form, tmp_path, "GET", case.headers)
            self._check(answer, case.outcome, form)

    @pytest.mark.parametrize("case", TABLE, ids=str)
    def test_a_source_that_can_be_read_once_has_no_ranges(self, case: Case, tmp_path: Path) -> None:
        for form in ONCE:
            answer = self._ask(form, tmp_path, "GET", case.headers)
            self._check(answer, without_ranges(case), form)

    @pytest.mark.parametrize("case", TABLE, ids=str)
    def test_head_is_answered_without_opening_the_source(self, case: Case) -> None:
        """As GET would be without ``Range``, which is for GET only."""
        function = Function()
        form = Form("callable", lambda _: function, SIZE)
        answer = self._ask(form, Path(), "HEAD", case.headers)
        assert answer.body == b""
        assert not function.opened
        outcome = Outcome(without_ranges(case).status)
        self._check(answer, outcome, form)

    def _check(self, answer: Answer, outcome: Outcome, form: Form) -> None:
        assert answer.status == outcome.status, form
        headers = {name.lower(): value for name, value in answer.headers}
        assert headers == expected_headers(outcome, form, answer), form
        if len(outcome.ranges) > 1:
            assert parts(answer) == [*map(content, outcome.ranges)], form
        else:
            assert answer.body == b"".join(content(each)[1] for each in outcome.ranges), form

    @pytest.mark.parametrize("value", ["bytes=0-9", "bytes=9999-"])
    def test_a_post_has_neither_ranges_nor_conditions(self, value: str, tmp_path: Path) -> None:
        headers = {"Range": value, "If-None-Match": ETAG, "If-Modified-Since": "now"}
        answer = self._ask(REOPENABLE[0], tmp_path, "POST", headers)
        self._check(answer, WHOLE, REOPENABLE[0])

    def test_conditions_on_more_than_one_line_count(self, tmp_path: Path) -> None:
        request = Headers([("If-None-Match", '"v0"'), ("If-None-Match", ETAG)])
        answer = self._ask(REOPENABLE[0], tmp_path, "GET", request)
        assert answer.status == 304

    def test_only_the_ranges_asked_for_are_opened_and_all_of_them_closed(self) -> None:
        function = Function()
        form = Form("callable", lambda _: function, SIZE)
        self._ask(form, Path(), "GET", {"Range": "bytes=3000-3009,5-14"})
        assert function.opened == [(3000, 3010), (5, 15)]
        assert function.closed == 2

    def test_a_server_sends_whole_files_by_itself(self, tmp_path: Path) -> None:
        """If it can, and nothing else."""
        for form in REOPENABLE + ONCE:
            answer = self._ask(form, tmp_path, "GET", {}, sends_files=True)
            assert answer.sent_by_server == (form.name in self.sent_by_server), form
            self._check(answer, WHOLE, form)
            for headers in ({"Range": "bytes=0-9"}, {"Range": "bytes=0-"}, {"If-Match": "*"}):
                answer = self._ask(form, tmp_path, "GET", headers, sends_files=True)
                assert answer.sent_by_server == (
                    "If-Match" in headers and form.name in self.sent_by_server
                ), form
            answer = self._ask(form, tmp_path, "HEAD", {}, sends_files=True)
            assert (answer.sent_by_server, answer.body) == (False, b""), form

    def test_an_empty_file_is_sent_whole(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.touch()
        for source in (empty, b"", Function()):
            form = Form("empty", partial(_just, source), 0)
            for value in ("bytes=0-", "bytes=-5"):
                answer = self._ask(form, tmp_path, "GET", {"Range": value})
                assert (answer.status, answer.body) == (200, b"")
                assert answer.headers["Content-Length"] == "0"
