import asyncio

import pytest
from werkzeug.datastructures import Headers

from streamkit.request import RequestContext, context, request_context


def test_outside_a_request_the_context_is_empty() -> None:
    request = context.get()
    assert (request.method, list(request.headers)) == ("", [])
    assert (request.last_event_id, request.tenant) == (None, "system")


def test_outside_a_request_the_log_says_once_why_there_is_no_last_event_id(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamkit.log._said", set())
    seen = context.get()
    assert (seen.method, seen.tenant, [*seen.headers]) == ("", "system", [])
    with request_context("GET", Headers(), None):
        assert context.get().last_event_id is None
    assert not caplog.messages
    for _ in range(2):
        assert seen.last_event_id is None
    (said,) = caplog.messages
    assert "its last_event_id is None whatever the client sent" in said


def test_the_context_lasts_as_long_as_the_block() -> None:
    headers = Headers({"Accept": "text/event-stream", "Last-Event-ID": "41"})
    before = context.get()
    with request_context("GET", headers, "acme"):
        assert context.get() == RequestContext(
            method="GET", headers=headers, last_event_id="41", tenant="acme"
        )
        with request_context("POST", Headers(), "other"):
            assert context.get().tenant == "other"
        assert context.get().tenant == "acme"
    assert context.get() is before


def test_the_context_ends_with_an_exception() -> None:
    before = context.get()
    with pytest.raises(KeyError), request_context("GET", Headers(), "acme"):
        raise KeyError
    assert context.get() is before


def test_each_task_has_its_own_context() -> None:
    async def tenant_of(name: str, barrier: asyncio.Barrier) -> str:
        with request_context("GET", Headers(), name):
            await barrier.wait()
            return context.get().tenant

    async def main() -> list[str]:
        barrier = asyncio.Barrier(2)
        return list(await asyncio.gather(tenant_of("a", barrier), tenant_of("b", barrier)))

    assert asyncio.run(main()) == ["a", "b"]


@pytest.mark.parametrize(
    ("headers", "last_event_id"),
    [
        ({}, None),
        ({"Last-Event-ID": ""}, None),
        ({"Last-Event-ID": "41"}, "41"),
        ({"last-event-id": "41"}, "41"),
        ({"Last-Event-ID": "größe ☃".encode().decode("latin-1")}, "größe ☃"),
        ({"Last-Event-ID": "gr\xf6\xdfe"}, "größe"),
        ({"Last-Event-ID": "☃"}, "☃"),
    ],
)
def test_the_last_event_id_is_that_of_the_header(
    headers: dict[str, str], last_event_id: str | None
) -> None:
    with request_context("GET", Headers(headers), None):
        assert context.get().last_event_id == last_event_id


@pytest.mark.parametrize(
    ("tenant", "expected"), [("acme", "acme"), (" ", " "), ("", "system"), (None, "system")]
)
def test_a_tenant_without_a_name_is_the_system(tenant: str | None, expected: str) -> None:
    with request_context("GET", Headers(), tenant):
        assert context.get().tenant == expected


@pytest.mark.parametrize("tenant", [0, 42, b"acme", ["acme"], lambda: "acme"])
def test_a_tenant_that_is_no_str_is_refused(tenant: object) -> None:
    with (
        pytest.raises(
            TypeError, match=f"tenant must be a str or None, got {type(tenant).__name__}"
        ),
        request_context("GET", Headers(), tenant),
    ):
        pass
    assert context.get().tenant == "system"


def test_no_header_names_a_tenant() -> None:
    with request_context("GET", Headers({"X-Tenant": "acme", "Tenant": "acme"}), None):
        assert context.get().tenant == "system"
