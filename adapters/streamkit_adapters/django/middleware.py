"""The middleware: the context of a request, and what only the request tells of its stream."""

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from werkzeug.datastructures import EnvironHeaders

from streamkit.adapting import Gate
from streamkit_adapters.django.response import StreamingResponse, through_asgi

__all__ = ["StreamkitMiddleware"]


class StreamkitMiddleware:
    """Sets ``streamkit.context`` for each request, and sees to what only the request tells.

    A stream whose source fails before its first element is answered by ``handler500`` and its like,
    and HEAD without starting the source. The tenant is what the function at the dotted path in
    ``STREAMKIT = {"TENANT": "shop.tenants.of_request"}`` returns for the request, or ``"system"``.
    Of the streams ``"MAX_STREAMS"`` may be open at a time in a process, any number without it: more
    are told to come back. Sync and async.

    Raises ImproperlyConfigured for a setting that is not as said.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        options = _options()
        try:
            self._gate = Gate(_tenant_at(options.get("TENANT")), options.get("MAX_STREAMS"))
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"STREAMKIT: {error}") from error
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self._get_response):
            return self._answer(request)
        with _context(self._gate, request, self._gate.tenant_of(request)):
            response: HttpResponseBase = self._get_response(request)
        if isinstance(response, StreamingResponse):
            if isinstance(request, ASGIRequest):
                async_to_sync(response.aprepare)(request)
            else:
                response.prepare(request)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        gate = self._gate
        # To name a tenant may take a query, which Django refuses to make on a loop.
        tenant = await sync_to_async(gate.tenant_of)(request) if gate.tenant else None
        with _context(gate, request, tenant):
            response: HttpResponseBase = await self._get_response(request)
        if isinstance(response, StreamingResponse):
            if isinstance(request, ASGIRequest):
                await response.aprepare(request)
            else:
                await sync_to_async(response.prepare)(request)
        return response


def _options() -> Mapping[str, Any]:
    options: Any = getattr(settings, "STREAMKIT", {})
    if not isinstance(options, Mapping) or not options.keys() <= {"TENANT", "MAX_STREAMS"}:
        raise ImproperlyConfigured(
            f"STREAMKIT must be a dict of TENANT, of MAX_STREAMS or of both, got {options!r}"
        )
    return options


def _tenant_at(path: Any) -> Any:
    if path is None:
        return None
    reason = (
        'STREAMKIT["TENANT"] must be the dotted path of a function that takes the request and '
        f"returns a name, got {path!r}"
    )
    if not isinstance(path, str):
        raise ImproperlyConfigured(reason)
    try:
        tenant = import_string(path)
    except (ImportError, ValueError) as error:
        raise ImproperlyConfigured(f"{reason}: {error}") from error
    if not callable(tenant):
        raise ImproperlyConfigured(reason)
    return tenant


@contextmanager
def _context(gate: Gate[HttpRequest], request: HttpRequest, tenant: str | None) -> Generator[None]:
    method, headers = request.method or "", EnvironHeaders(request.META)
    query = request.META.get("QUERY_STRING", "")
    token = through_asgi.set(isinstance(request, ASGIRequest))
    try:
        with gate.pass_through(method, headers, query, tenant):
            yield
    finally:
        through_asgi.reset(token)
