"""Middleware of one kind only, for the other kind of handler to adapt, and around content."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.db import connections, transaction
from django.http import HttpRequest
from django.utils.decorators import async_only_middleware, sync_only_middleware


@sync_only_middleware
def sync_only(get_response: Any) -> Any:
    """As many people write it. It makes all that is around it sync too."""

    def middleware(request: HttpRequest) -> Any:
        response = get_response(request)
        response["X-Passed"] = "yes"
        return response

    return middleware


@async_only_middleware
def async_only(get_response: Any) -> Any:
    async def middleware(request: HttpRequest) -> Any:
        response = await get_response(request)
        response["X-Passed"] = "yes"
        return response

    return middleware


def put_around(get_response: Any, choose: Callable[[Any], Callable[[Any], Any]]) -> Any:
    """Puts around the content what ``choose`` names for the response."""

    def middleware(request: HttpRequest) -> Any:
        response = get_response(request)
        around = choose(response)
        response.streaming_content = around(response.streaming_content)
        return response

    return middleware


def querying(get_response: Any) -> Any:
    """Asks the database on the way back, as that of sessions does which saves one."""

    def middleware(request: HttpRequest) -> Any:
        response = get_response(request)
        for alias in connections:
            query(alias)
        return response

    return middleware


def query(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")


def atomic(get_response: Any) -> Any:
    """One transaction a request, around the view and all middleware further in."""

    def middleware(request: HttpRequest) -> Any:
        with ExitStack() as transactions:
            for alias in connections:
                transactions.enter_context(transaction.atomic(alias))
            return get_response(request)

    return middleware
