"""The project's one view, which is another in each test."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from django.http import HttpRequest
from django.test import override_settings
from django.urls import path

__all__ = ["site"]


def site(
    view: Callable[..., Any], *middleware: str, asynchronous: bool = False, **handlers: Any
) -> override_settings:
    """The settings of a project with this ``view``, which is made ``asynchronous`` on demand.

    ``handlers`` are those of a root URLconf, such as ``handler500``.
    """

    async def async_view(request: HttpRequest) -> Any:
        return view(request)

    urls = ModuleType("urls")
    vars(urls).update(handlers, urlpatterns=[path("", async_view if asynchronous else view)])
    return override_settings(ROOT_URLCONF=urls, MIDDLEWARE=middleware)
