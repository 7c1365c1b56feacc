"""What stands around an application: the context of its requests, and the limit of its streams."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

from werkzeug.datastructures import Headers

from streamkit.admission import Admission
from streamkit.request import context, request_context, tenant_name
from streamkit.signals import shutdown_on_signals

__all__ = ["Gate"]

N = TypeVar("N")


class Gate(Generic[N]):
    """What every middleware is: it sets ``streamkit.context``, and limits the open streams.

    ``tenant`` takes the framework's own request and returns the tenant's name, or None for
    ``"system"``. Of the streams that come through, ``max_streams`` may be open at a time in a
    process; more are told to come back. Without one of them, that of a middleware further out goes
    on to hold. From here on SIGTERM and SIGINT end the live streams in good order.

    Raises TypeError or ValueError for a ``max_streams`` that is no positive int.
    """

    def __init__(
        self,
        tenant: Callable[[N], str | None] | None = None,
        max_streams: int | None = None,
    ) -> None:
        self.tenant = tenant
        self._admission = None if max_streams is None else Admission(max_streams)
        shutdown_on_signals()

    def tenant_of(self, native: N) -> str:
        """The tenant of the framework's request. Raises TypeError if it is no str or None."""
        if self.tenant is None:
            return context.get().tenant
        return tenant_name(self.tenant(native))

    @contextmanager
    def pass_through(
        self, method: str, headers: Headers, query: str = "", tenant: str | None = None
    ) -> Generator[None]:
        """A request of this method, with these headers and query string, is handled in this block.

        ``tenant`` is what ``tenant_of`` returned. None: that of a middleware further out.
        """
        tenant = context.get().tenant if tenant is None else tenant
        with request_context(method, headers, tenant, query, self._admission):
            yield
