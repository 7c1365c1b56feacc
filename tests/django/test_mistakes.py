"""What is done wrong in the first minutes says how it is done right."""

import asyncio
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import AsyncClient, Client, override_settings
from django.views.decorators.cache import never_cache
from django_site.urls import site

import streamkit
from streamkit_adapters.django import StreamkitMiddleware

IMPORT = "from streamkit_adapters.django import StreamingService"


def neutral(request: HttpRequest) -> Any:
    return streamkit.StreamingService.sse("s", ["a"])


USUAL = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "streamkit_adapters.django.StreamkitMiddleware",
]


@pytest.mark.parametrize("middleware", [[], *([each] for each in USUAL), USUAL], ids=str)
@pytest.mark.parametrize("view", [neutral, never_cache(neutral)], ids=["plain", "never_cache"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync-view", "async-view"])
def test_a_view_that_returns_a_neutral_response_is_told_the_import(
    view: Any, middleware: list[str], asynchronous: bool
) -> None:
    with (
        site(view, *middleware, asynchronous=asynchronous),
        pytest.raises(AttributeError, match=IMPORT),
    ):
        Client().get("/")


def test_it_is_told_under_asgi_as_well() -> None:
    with site(neutral), pytest.raises(AttributeError, match=IMPORT):
        asyncio.run(AsyncClient().get("/"))


def tenant_of(request: HttpRequest) -> str:
    return "acme"


NOT_A_FUNCTION = 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"TENANT": "acme"}, r"\"TENANT\"\] must be the dotted path of a function .*, got 'acme'"),
        ({"TENANT": "os.no_such"}, r"got 'os.no_such': Module \"os\" does not define"),
        ({"TENANT": f"{__name__}.NOT_A_FUNCTION"}, r"must be the dotted path of a function"),
        ({"TENANT": tenant_of}, r"must be the dotted path .*, got <function tenant_of"),
        ({"tenant": "a.b"}, r"STREAMKIT must be a dict of TENANT, of MAX_STREAMS or of both"),
        (["TENANT"], r"STREAMKIT must be a dict of TENANT"),
    ],
    ids=str,
)
def test_a_setting_that_is_wrong_is_told_at_the_start(options: Any, message: str) -> None:
    with override_settings(STREAMKIT=options), pytest.raises(ImproperlyConfigured, match=message):
        StreamkitMiddleware(neutral)
