"""What stands around an application: the context of its requests, and the limit of its streams."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from werkzeug.datastructures import Headers

from streamkit.admission import Admission
from streamkit.arguments import check_tenant
from streamkit.request import context, request_context, tenant_name
from streamkit.signals import shutdown_on_signals

__all__ = ["Gate"]

NativeT = TypeVar("NativeT")


class Gate(Generic[NativeT]):
    """What every middleware is: it sets ``streamkit.context``, and limits the open streams.

    ``tenant`` takes the framework's own request, ``NativeT``, and returns the tenant's name, or
    None for ``"system"``. Of the streams that come through, ``max_streams`` may be open at a time
    in a process; more are told to come back. Without one of them, that of a middleware further out
    goes on to hold. Once there is a gate, SIGTERM and SIGINT retire the live streams.

    Raises TypeError for a ``tenant`` that is no function, and TypeError or ValueError for a
    ``max_streams`` that is no positive int.
    """

    def __init__(
        self,
        tenant: Callable[[NativeT], str | None] | None = None,
        max_streams: int | None = None,
    ) -> None:
        check_tenant(tenant)
        self.tenant = tenant
        """The application's callable; None if it gave none. It may block, so that an adapter on a
        loop calls ``tenant_of`` on a thread if its framework's requests may query a database."""
        self._admission = None if max_streams is None else Admission(max_streams)
        shutdown_on_signals()

    def tenant_of(self, native: NativeT) -> str | None:
        """The tenant that the application names for the framework's request; None if none is asked.

        Raises TypeError if what it returns is neither a str nor None.
        """
        return None if self.tenant is None else tenant_name(self.tenant(native))

    def pass_through(
        self, method: str, headers: Headers, query: str = "", tenant: str | None = None
    ) -> AbstractContextManager[None]:
        """Handle a request of this method, with these headers and query string, in this block.

        ``headers`` are as servers hand them over: bytes decoded as latin-1. ``tenant`` is what
        ``tenant_of`` returned; None lets that of a middleware further out go on to hold.
        """
        tenant = context.get().tenant if tenant is None else tenant
        return request_context(method, headers, tenant, query, self._admission)
